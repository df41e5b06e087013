// Paints the grid of a weekly calendar. Without this file its boxes are ticked one by one.
"use strict";

(() => {
  const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
  const HOURS = 24;

  // --- The calendar in words: as `dayparting.notation` writes it ------------------------------

  const windowsWithin = (day) => {
    const windows = [];
    day.forEach((isOpen, hour) => {
      if (isOpen && windows.at(-1)?.[1] === hour) windows.at(-1)[1] = hour + 1;
      else if (isOpen) windows.push([hour, hour + 1]);
    });
    return windows;
  };

  const windowsOf = (week) => {
    const days = week.map(windowsWithin);
    days.forEach((evening, at) => {
      const morning = days[(at + 1) % days.length];
      const meet = evening.at(-1)?.[1] === HOURS && morning[0]?.[0] === 0;
      if (meet && morning[0][1] < evening.at(-1)[0]) evening.at(-1)[1] = morning.shift()[1];
    });
    return days;
  };

  const daysInWords = (days) => {
    const runs = [];
    for (const day of days) {
      if (runs.at(-1)?.at(-1) === day - 1) runs.at(-1).push(day);
      else runs.push([day]);
    }
    const ends = (run) => [...new Set([run[0], run.at(-1)])].map((day) => DAYS[day]);
    return runs.map((run) => ends(run).join("–")).join(",");
  };

  const inWords = (week) => {
    const daysOf = new Map();
    windowsOf(week).forEach((windows, day) => {
      const words = windows.map((ends) => ends.join("–")).join(", ");
      if (words) daysOf.set(words, [...(daysOf.get(words) ?? []), day]);
    });
    const count = week.flat().filter(Boolean).length;
    if (!count) return "No hour is open.";
    const words = [...daysOf].map(([windows, days]) => `${daysInWords(days)} ${windows}`).join("; ");
    return `${words} (${count} ${count === 1 ? "hour" : "hours"} a week)`;
  };

  // --- The grid -------------------------------------------------------------------------------

  const start = (root) => {
    if (root.dataset.started) return;
    root.dataset.started = "yes";
    const grid = root.querySelector(".hours-grid");
    const status = root.querySelector("[role=status]");
    const boxes = [...grid.tBodies[0].rows].map((row) => [...row.querySelectorAll("input")]);
    // What can be stood on, headings included: row 0 has the hours, column 0 the days.
    const places = [...grid.rows].map((row) => [...row.cells].map((cell) => stand(cell)));
    const placeOf = new Map();
    places.forEach((row, y) => row.forEach((it, x) => it && placeOf.set(it, [y, x])));
    let stroke = null; // { anchor: [y, x], value, before }
    let pressed = null; // the box that the pointer has turned already

    function stand(cell) {
      if (cell.tagName === "TD") return cell.querySelector("input");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      cell.replaceChildren(button);
      return button;
    }

    const tell = () => {
      const words = inWords(boxes.map((row) => row.map((box) => box.checked)));
      if (status.textContent !== words) status.textContent = words;
    };

    const turn = (some) => {
      const value = !some.every((box) => box.checked);
      for (const box of some) box.checked = value;
      tell();
    };

    const begin = (box, value) => {
      stroke = { anchor: placeOf.get(box), value, before: boxes.map((row) => row.map((it) => it.checked)) };
    };

    // A stroke paints the rectangle from where it began; what it leaves again is as it was.
    const paint = (to) => {
      const [top, bottom] = [stroke.anchor[0], to[0]].sort((a, b) => a - b);
      const [left, right] = [stroke.anchor[1], to[1]].sort((a, b) => a - b);
      boxes.forEach((row, y) => row.forEach((box, x) => {
        const isWithin = y + 1 >= top && y + 1 <= bottom && x + 1 >= left && x + 1 <= right;
        box.checked = isWithin ? stroke.value : stroke.before[y][x];
      }));
      tell();
    };

    const standOn = (it) => {
      for (const other of placeOf.keys()) other.tabIndex = other === it ? 0 : -1;
    };

    const boxAt = (event) => {
      const found = document.elementFromPoint(event.clientX, event.clientY);
      const box = found?.closest("td")?.querySelector("input");
      return box && placeOf.has(box) ? box : null;
    };

    grid.addEventListener("pointerdown", (event) => {
      const box = event.button === 0 && event.target.closest("td")?.querySelector("input");
      if (!box) return;
      pressed = box;
      begin(box, !box.checked);
      paint(placeOf.get(box));
      box.focus();
    });
    document.addEventListener("pointermove", (event) => {
      const box = pressed && stroke && boxAt(event);
      if (box) paint(placeOf.get(box));
    });
    for (const ending of ["pointerup", "pointercancel"]) {
      document.addEventListener(ending, (event) => {
        if (!pressed) return;
        stroke = null;
        // The click that follows on the same box would turn it back.
        if (boxAt(event) !== pressed) pressed = null;
      });
    }
    grid.addEventListener("click", (event) => {
      if (event.target === pressed) event.preventDefault();
      pressed = null;
      const place = event.target.tagName === "BUTTON" && placeOf.get(event.target);
      if (place) turn(place[0] ? boxes[place[0] - 1] : boxes.map((row) => row[place[1] - 1]));
    });
    grid.addEventListener("dragstart", (event) => event.preventDefault());
    grid.addEventListener("change", tell);
    grid.addEventListener("focusin", (event) => standOn(event.target));

    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    grid.addEventListener("keydown", (event) => {
      pressed = null;
      const place = placeOf.get(event.target);
      if (!place || event.ctrlKey || event.altKey || event.metaKey) return;
      let [y, x] = place;
      if (event.key === "Home") x = y ? 0 : 1;
      else if (event.key === "End") x = HOURS;
      else if (event.key in steps) {
        // In a narrow grid the hours go down.
        const isTurned = getComputedStyle(grid).gridAutoFlow.startsWith("column");
        const [down, across] = isTurned ? steps[event.key].toReversed() : steps[event.key];
        [y, x] = [y + down, x + across];
      } else return;
      event.preventDefault();
      const next = places[y]?.[x];
      if (!next) return;
      const isPainting = event.shiftKey && event.target.type === "checkbox" && next.type === "checkbox";
      if (isPainting && !stroke) begin(event.target, event.target.checked);
      if (!isPainting) stroke = null;
      next.focus();
      if (isPainting) paint([y, x]);
    });
    grid.addEventListener("keyup", (event) => {
      if (event.key === "Shift") stroke = null;
    });

    const presets = root.querySelector(".hours-presets");
    presets.addEventListener("click", (event) => {
      const week = event.target.dataset.week;
      if (!week) return;
      boxes.forEach((row, day) => {
        const bits = parseInt(week.slice(day * 6, day * 6 + 6), 16);
        row.forEach((box, hour) => { box.checked = Boolean((bits >> (HOURS - 1 - hour)) & 1); });
      });
      tell();
    });

    presets.hidden = root.querySelector(".hours-hint").hidden = false;
    standOn(boxes[0][0]);
    tell();
  };

  const startAll = (within) => within.querySelectorAll(".hours").forEach(start);
  document.addEventListener("htmx:load", (event) => startAll(event.detail.elt));
  startAll(document);
})();
