// Draws every chart of a page with Chart.js, from the JSON beside it, in the colours of app.css.
"use strict";

(() => {
  const drawn = new Map();

  const style = () => {
    const found = getComputedStyle(document.documentElement);
    return (name) => found.getPropertyValue(`--${name}`).trim();
  };

  const looks = (kind, colour) => ({
    bar: { type: "bar", backgroundColor: colour("calm"), borderRadius: 3, maxBarThickness: 28, order: 3 },
    line: { type: "line", borderColor: colour("primary"), borderWidth: 2.5, order: 1 },
    plan: { type: "line", borderColor: colour("muted"), borderWidth: 1.5, borderDash: [2, 3], order: 2 },
    projection: { type: "line", borderColor: colour("near"), borderWidth: 2, borderDash: [6, 4], order: 2 },
    limit: { type: "line", borderColor: colour("budget"), borderWidth: 1.5, order: 2 },
  })[kind];

  // A line through the label that is now.
  const now = {
    id: "now",
    afterDatasetsDraw(chart, _, options) {
      if (options.at === null || options.at === undefined) return;
      const x = chart.scales.x.getPixelForValue(options.at);
      const { top, bottom } = chart.chartArea;
      chart.ctx.save();
      chart.ctx.strokeStyle = options.colour;
      chart.ctx.lineWidth = 1;
      chart.ctx.beginPath();
      chart.ctx.moveTo(x, top);
      chart.ctx.lineTo(x, bottom);
      chart.ctx.stroke();
      chart.ctx.restore();
    },
  };

  const draw = (figure) => {
    const canvas = figure.querySelector("canvas");
    const data = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
    const colour = style();
    const axis = { grid: { color: colour("line") }, ticks: { color: colour("muted") }, border: { display: false } };
    drawn.set(figure, new Chart(canvas, {
      data: {
        labels: data.labels,
        datasets: data.series.map((series) => ({
          label: series.name,
          data: series.values,
          words: series.words,
          pointRadius: 0,
          pointHitRadius: 12,
          spanGaps: false,
          tension: 0,
          ...looks(series.kind, colour),
        })),
      },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        locale: data.locale,
        events: data.small ? [] : undefined,
        interaction: { mode: "index", intersect: false },
        scales: {
          x: { ...axis, display: !data.small, grid: { display: false }, ticks: { ...axis.ticks, maxRotation: 0, autoSkipPadding: 16 } },
          y: { ...axis, display: !data.small, beginAtZero: true, ticks: { ...axis.ticks, maxTicksLimit: 6 } },
        },
        plugins: {
          legend: { display: !data.small, position: "bottom", align: "start", labels: { color: colour("ink"), boxWidth: 18, boxHeight: 2 } },
          tooltip: { callbacks: { label: (item) => ` ${item.dataset.label}: ${item.dataset.words[item.dataIndex]}` } },
          now: { at: data.marked, colour: colour("faint") },
        },
      },
      plugins: [now],
    }));
  };

  // Those that are gone make room; those that stand there are left alone.
  const drawNew = () => {
    for (const [figure, chart] of drawn) {
      if (figure.isConnected) continue;
      chart.destroy();
      drawn.delete(figure);
    }
    for (const figure of document.querySelectorAll("[data-chart]")) {
      if (!drawn.has(figure)) draw(figure);
    }
  };

  const drawAll = () => {
    for (const chart of drawn.values()) chart.destroy();
    drawn.clear();
    drawNew();
  };

  document.addEventListener("live:fresh", drawNew);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawNew();
})();
