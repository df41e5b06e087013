"""Settings, in the order a reader asks: where, who, data, time, pages, log, Celery, money.

Every variable is optional; `env` refuses values that cannot be meant.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from django_celery_budget import broker, env, logs, mail

# --- Where -------------------------------------------------------------------------------------
BASE_DIR = Path(__file__).resolve().parent.parent
PRODUCTION = env.choice("DJANGO_ENV", ("development", "production")) == "production"
DATA_DIR = Path(env.text("BUDGETS_DATA_DIR", str(BASE_DIR / "var"))).expanduser().absolute()
"""Everything the default keeps on disk: database, broker, secret key. Private to its owner."""

DEBUG = env.boolean("DEBUG")
ROOT_URLCONF = "django_celery_budget.urls"
WSGI_APPLICATION = "django_celery_budget.wsgi.application"
ASGI_APPLICATION = "django_celery_budget.asgi.application"


def data_dir() -> Path:
    """Create the data directory; production on PostgreSQL and Redis needs none and gets none."""
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    return DATA_DIR


# --- Who ---------------------------------------------------------------------------------------
def own_secret_key() -> str:
    """Return the key of this installation, made on first use.

    Written aside and then linked: of two first starts at once one wins, and both read a whole key.
    """
    path = data_dir() / "secret_key"
    if not path.exists():
        draft = path.with_name(f"secret_key.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            draft.rename(path) if sys.platform == "win32" else os.link(draft, path)
        except FileExistsError:
            pass  # The other one won.
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text(encoding="utf-8").strip()


def checked_secret_key(key: str) -> str:
    """Refuse the keys that `check --deploy` warns of: whoever guesses it signs in as anyone."""
    if len(key) < 50 or len(set(key)) < 5 or key.startswith("django-insecure-"):
        raise ImproperlyConfigured(
            "SECRET_KEY must have at least 50 random characters in production. Make one with: "
            'python3 -c "import secrets; print(secrets.token_urlsafe(64))", '
            "and give it as SECRET_KEY or in a file named by SECRET_KEY_FILE."
        )
    return key


def required_hosts(hosts: list[str]) -> list[str]:
    """Refuse production without the names it answers to."""
    if not hosts or "*" in hosts:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS must name the hosts of the site in production, comma-separated, "
            "without '*': ALLOWED_HOSTS=budgets.example.com."
        )
    return hosts


def checked_hosts(hosts: list[str]) -> list[str]:
    """Refuse what can never match the Host header: addresses, ports and paths."""
    for host in hosts:
        if "/" in host or (":" in host and not (host.startswith("[") and host.endswith("]"))):
            raise ImproperlyConfigured(
                f"ALLOWED_HOSTS: {host!r} is no bare host name; say budgets.example.com, without "
                "scheme, port or path."
            )
    return hosts


LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]", ".localhost"]
given_key, given_hosts = env.secret("SECRET_KEY"), checked_hosts(env.words("ALLOWED_HOSTS"))
if PRODUCTION:
    SECRET_KEY = checked_secret_key(given_key)
    ALLOWED_HOSTS = required_hosts(given_hosts)
    if DEBUG:
        raise ImproperlyConfigured(
            "DEBUG shows settings and source to every visitor: unset it, or DJANGO_ENV."
        )
else:
    SECRET_KEY = given_key or own_secret_key()
    ALLOWED_HOSTS = given_hosts or LOCAL_HOSTS

# Keys before this one, comma-separated: sessions and secrets of webhooks that came from them go on.
SECRET_KEY_FALLBACKS = [
    key for part in env.secret("SECRET_KEY_FALLBACKS").split(",") if (key := part.strip())
]

CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
for origin in CSRF_TRUSTED_ORIGINS:
    if not origin.startswith(("http://", "https://")):
        raise ImproperlyConfigured(
            f"CSRF_TRUSTED_ORIGINS: {origin!r} lacks its scheme; say https://{origin}."
        )

SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
# A load balancer asks over plain HTTP, and so does who collects metrics; a redirect would read as "down".
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
BEHIND_TLS_PROXY = env.boolean("BEHIND_TLS_PROXY")
if BEHIND_TLS_PROXY:
    # Only on demand: without a proxy that overwrites the header, any client could send it.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", int(BEHIND_TLS_PROXY), at_least=0, at_most=10)
"""Proxies in front that append to X-Forwarded-For the address they were asked from."""

# Wrong passwords are counted by user and place: nobody can lock out somebody elsewhere.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# Who goes on trying waits no longer: a browser that repeats a saved password must not lock for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "django_celery_budget.sign_in.client_address"
AXES_LOCKOUT_CALLABLE = "django_celery_budget.sign_in.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 12 * 3600  # A working day; two weeks are long for other people's money.
X_FRAME_OPTIONS = "DENY"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

INSTALLED_APPS = [
    # The admin's look: before the admin, whose templates it replaces.
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    # runserver leaves static files to WhiteNoise, so that every server serves them alike.
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_htmx",
    # Slows down who guesses passwords.
    "axes",
    # Its own copy of the page that shows the api; otherwise that page loads from elsewhere.
    "ninja",
    "budgets",
]
MIDDLEWARE = [
    "django_celery_budget.middleware.request_id",
    "django_celery_budget.middleware.KeptConnectionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django_celery_budget.middleware.content_security_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # A page is private unless its view says `login_not_required`: forgetting fails closed.
    "django_celery_budget.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # Last: it answers instead of the page to sign in.
    "axes.middleware.AxesMiddleware",
]

# --- Data --------------------------------------------------------------------------------------
POSTGRESQL, SQLITE = "django.db.backends.postgresql", "django.db.backends.sqlite3"

SQLITE_OPTIONS: dict[str, Any] = {
    # Take the write lock at BEGIN. Django's DEFERRED takes it at the first write, when waiting
    # can no longer help: 534 of 1,200 transactions failed with "database is locked", here 0.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,  # Seconds a writer waits for its turn.
    # WAL: readers and the writer do not block each other.
    # FULL: with NORMAL a power loss may take the last commits, spend that was acknowledged.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}
# No statement may hold a brand's lock for long, and a killed client must not hold it for ever.
POSTGRESQL_OPTIONS: dict[str, Any] = {
    # Statements are prepared once a connection has sent them five times: planning the six of one
    # event costs the server more than doing them. Behind a pooler that hands connections round by
    # transaction and knows no prepared statements: `?prepare_threshold=1000000000`.
    "server_side_binding": True,
    "prepare_threshold": 5,
    "connect_timeout": 5,  # Seconds: health must say "down", not wait two minutes to say it.
    "options": "-c statement_timeout=30s -c lock_timeout=5s "
    "-c idle_in_transaction_session_timeout=30s "
    # The default, 4, is of disks that turn: a batch of 100 events then reads whole tables, 13 ms
    # where 10 will do.
    "-c random_page_cost=1.1",
}


def database(url: str) -> dict[str, Any]:
    """Return Django's description of the database at `url`, empty for the default SQLite file."""
    if not url:
        path = data_dir() / "db.sqlite3"
        return {"ENGINE": SQLITE, "NAME": str(path), "OPTIONS": SQLITE_OPTIONS}
    try:
        found: dict[str, Any] = {**dj_database_url.parse(url)}
    except (ValueError, KeyError):  # The message would repeat the URL, and with it the password.
        found = {"ENGINE": ""}
    # What the URL's query says wins: `?options=-c%20statement_timeout%3D0` for a long migration.
    given = found.get("OPTIONS", {})
    if found["ENGINE"] == POSTGRESQL and found["NAME"]:
        # Web requests keep their connection; workers do not (see `celery.py`).
        found.update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
        found["OPTIONS"] = {**POSTGRESQL_OPTIONS, **given}
    elif found["ENGINE"] == SQLITE:
        name = found["NAME"]
        if name == ":memory:":
            raise ImproperlyConfigured(
                "DATABASE_URL: each process would have a database in memory of its own; name a "
                "file, as sqlite:////absolute/path, or unset it."
            )
        # A relative file must be the same one for every process, wherever it was started.
        found["NAME"] = str(BASE_DIR / name)
        found["OPTIONS"] = {**SQLITE_OPTIONS, **given}
    else:
        raise ImproperlyConfigured(
            "DATABASE_URL must be postgres://user:password@host:5432/name or "
            "sqlite:////absolute/path, with special characters percent-encoded. "
            "Other databases are not supported: the locks and the money columns rely on these two."
        )
    return found


DATABASES = {"default": database(env.secret("DATABASE_URL"))}
if DATABASES["default"]["ENGINE"] == SQLITE:
    # A file and not memory: tests of concurrency need several connections to it.
    DATABASES["default"]["TEST"] = {"NAME": str(data_dir() / "test.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Time --------------------------------------------------------------------------------------
# Instants are UTC here; the local days of brands are computed from them, never stored as such.
TIME_ZONE = "UTC"
USE_TZ = True

# --- Pages -------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
USE_I18N = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
# Served from the packages themselves, so that a clone needs no collectstatic; only who has another
# server serve them names a directory to collect them in.
STATIC_ROOT = env.text("STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG


# --- Admin -------------------------------------------------------------------------------------
def entry(title: str, icon: str, page: str, permission: str = "") -> dict[str, Any]:
    """Return one entry of the admin's sidebar, for those who may open it."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(page),
        "permission": lambda request: not permission or request.user.has_perm(permission),
        # Every address begins with the dashboard's; it would look open on all pages.
        **({} if page.startswith("admin:") else {"active": False}),
    }


# The violet of the operators' pages (budgets/static/budgets/app.css), from light to dark.
VIOLET = {
    "50": "#f5f3ff",
    "100": "#ede9fe",
    "200": "#ddd6fe",
    "300": "#c4b5fd",
    "400": "#a78bfa",
    "500": "#8b5cf6",
    "600": "#6d28d9",
    "700": "#5b21b6",
    "800": "#4c1d95",
    "900": "#3b1578",
    "950": "#2e1065",
}

UNFOLD = {
    "SITE_TITLE": "Budget Guardian",
    "SITE_HEADER": "Budget Guardian",
    "SITE_URL": "/",
    "DASHBOARD_CALLBACK": "budgets.admin.people.index",
    "SITE_SYMBOL": "shield",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _: static("budgets/icon.svg"),
        }
    ],
    "COLORS": {"primary": VIOLET},
    "STYLES": [lambda _: static("budgets/admin.css")],
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    entry("Dashboard", "space_dashboard", "dashboard"),
                    entry("Health", "ecg_heart", "health"),
                ]
            },
            {
                "title": "Advertisers",
                "separator": True,
                "items": [
                    entry(
                        "Brands",
                        "storefront",
                        "admin:budgets_brand_changelist",
                        "budgets.view_brand",
                    ),
                    entry(
                        "Campaigns",
                        "campaign",
                        "admin:budgets_campaign_changelist",
                        "budgets.view_campaign",
                    ),
                    entry(
                        "Spend", "payments", "admin:budgets_spend_changelist", "budgets.view_spend"
                    ),
                    entry(
                        "Alerts",
                        "notifications",
                        "admin:budgets_alert_changelist",
                        "budgets.view_alert",
                    ),
                    entry(
                        "Status changes",
                        "history",
                        "admin:budgets_statuschange_changelist",
                        "budgets.view_statuschange",
                    ),
                ],
            },
            {
                "title": "Machinery",
                "separator": True,
                "items": [
                    entry(
                        "Schedules",
                        "schedule",
                        "admin:django_celery_beat_periodictask_changelist",
                        "django_celery_beat.view_periodictask",
                    ),
                    entry(
                        "Intervals",
                        "timer",
                        "admin:django_celery_beat_intervalschedule_changelist",
                        "django_celery_beat.view_intervalschedule",
                    ),
                    entry(
                        "Passes",
                        "published_with_changes",
                        "admin:budgets_passrecord_changelist",
                        "budgets.view_passrecord",
                    ),
                    entry(
                        "API keys",
                        "key",
                        "admin:budgets_apikey_changelist",
                        "budgets.view_apikey",
                    ),
                    entry(
                        "Webhooks",
                        "webhook",
                        "admin:budgets_webhookendpoint_changelist",
                        "budgets.view_webhookendpoint",
                    ),
                    entry(
                        "Webhook deliveries",
                        "outgoing_mail",
                        "admin:budgets_webhookdelivery_changelist",
                        "budgets.view_webhookdelivery",
                    ),
                    entry(
                        "Alert recipients",
                        "contact_mail",
                        "admin:budgets_alertrecipient_changelist",
                        "budgets.view_alertrecipient",
                    ),
                    {
                        **entry("Users", "person", "admin:auth_user_changelist"),
                        "permission": "budgets.admin.people.offers_users",
                    },
                    {
                        **entry("Groups", "group", "admin:auth_group_changelist"),
                        "permission": "budgets.admin.people.offers_groups",
                    },
                ],
            },
        ],
    },
}

# --- Log ---------------------------------------------------------------------------------------
LOGGING = logs.config(env.choice("LOG_FORMAT", ("console", "json")))


# --- Metrics -----------------------------------------------------------------------------------
def checked_metrics_token(token: str) -> str:
    """Refuse what can be guessed, and what no header can carry. Empty: there are no metrics."""
    if token and not re.fullmatch(r"[!-~]{20,}", token):
        raise ImproperlyConfigured(
            "METRICS_TOKEN must have at least 20 visible ASCII characters, without spaces. Make one "
            'with: python3 -c "import secrets; print(secrets.token_urlsafe(32))", and give it as '
            "METRICS_TOKEN or in a file named by METRICS_TOKEN_FILE."
        )
    return token


METRICS_TOKEN = checked_metrics_token(env.secret("METRICS_TOKEN"))
"""Who shows it may read `/metrics`; empty: there is no such page."""

# --- Celery ------------------------------------------------------------------------------------
REDIS_URL = broker.checked_url(env.secret("REDIS_URL"))
"""The broker to use; empty: a private embedded server, started when a worker or beat needs it."""

CELERY_BROKER_URL = REDIS_URL or broker.embedded_url(DATA_DIR)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # How long a killed worker's message stays away. Above the hard time limit, or a slow task
    # is started again while it runs: a 35 s task with 10 s here ran four times.
    "visibility_timeout": 300,
    # Look for such messages every 5 s: one came back after 14 s instead of 106 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # A network that drops packets without a word: without these a worker waited for ever.
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "retry_on_timeout": True,
    "health_check_interval": 10,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True  # Order of starting does not matter.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # The default gives up after 100 tries, for good.
# JSON only: a pickle in the broker would be code that we run.
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
# No result backend: `.delay()` raises when one is down, and passes keep a record of their own.
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None  # Nothing to clean up, or beat adds a nightly crontab entry for it.
# A pass may be killed at any point and run again; either setting alone loses it at kill -9.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # A busy process must not sit on the next tick.
# A pass, deliveries that wait for slow receivers, and one for the others.
CELERY_WORKER_CONCURRENCY = 3
CELERY_TASK_SOFT_TIME_LIMIT = 110  # Ends the transaction in an orderly way …
CELERY_TASK_TIME_LIMIT = 120  # … before the process is killed.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30  # A deploy lets the running pass finish.
# One short retry: a frozen broker held a caller for over 60 s, so for 4 s.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.2,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # `LOGGING` above is the one log.
CELERY_BEAT_SCHEDULER = "django_celery_budget.beat:Scheduler"  # Its rows are edited in the admin.
CELERY_BEAT_SYNC_EVERY = 1  # Save each run at once: health reads `last_run_at`.
CELERY_TIMEZONE = TIME_ZONE
CELERY_ENABLE_UTC = True
DJANGO_CELERY_BEAT_TZ_AWARE = True


# --- Webhooks ----------------------------------------------------------------------------------
def checked_networks(entries: list[str]) -> list[str]:
    """Refuse what is neither a host nor a network: it would allow nothing, or not what was meant."""
    for entry in entries:
        if re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z_-][A-Za-z0-9_.-]*", entry, re.ASCII):
            continue  # a name; only digits and points would be an address
        try:
            ipaddress.ip_network(entry)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"WEBHOOK_ALLOWED_PRIVATE_HOSTS: {entry!r} is neither a host name nor a network "
                f"({error}); say hooks.internal or 10.1.2.0/24, comma-separated."
            ) from None
    return entries


WEBHOOK_ALLOWED_PRIVATE_HOSTS = checked_networks(env.words("WEBHOOK_ALLOWED_PRIVATE_HOSTS"))
"""Hosts and networks that webhooks may be sent to though they are private, at any port, also by http."""

WEBHOOK_KEEP_DAYS = env.integer("WEBHOOK_KEEP_DAYS", 30, at_least=4, at_most=36_500)
"""How long a delivery can be seen after its last attempt. Longer than its attempts take: these tell
whether a receiver lives."""

# --- Mail --------------------------------------------------------------------------------------
given_mail = mail.parse(env.secret("EMAIL_URL"))
MAIL_IS_CONFIGURED = given_mail is not None
"""Whether alerts can be sent by e-mail; without a server they are shown and told to webhooks only."""

EMAIL_BACKEND = given_mail.backend if given_mail else mail.NOWHERE
EMAIL_HOST, EMAIL_PORT = (given_mail.host, given_mail.port) if given_mail else ("localhost", 25)
EMAIL_HOST_USER = given_mail.user if given_mail else ""
EMAIL_HOST_PASSWORD = given_mail.password if given_mail else ""
EMAIL_USE_TLS = given_mail is not None and given_mail.starttls
EMAIL_USE_SSL = given_mail is not None and given_mail.tls
EMAIL_TIMEOUT = 10  # Seconds for each answer of the server.
DEFAULT_FROM_EMAIL = SERVER_EMAIL = mail.checked_sender(
    env.text("DEFAULT_FROM_EMAIL"), is_needed=MAIL_IS_CONFIGURED
)
SITE_URL = mail.checked_site(env.text("SITE_URL"))
"""Where the pages are, for links in mails, without a slash at its end; empty: mails have no links."""

# --- Money -------------------------------------------------------------------------------------
API_REQUESTS_PER_SECOND = env.integer(
    "API_REQUESTS_PER_SECOND", 1000, at_least=1, at_most=1_000_000
)
SPEND_MAX_AGE_DAYS = env.integer("SPEND_MAX_AGE_DAYS", 400, at_least=1, at_most=36_500)
"""Spend dated further back is refused: it is a typing error more often than it is news."""
