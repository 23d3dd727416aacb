// A cursor on the timeline: values of every lane at one moment, by pointer, by touch and by the arrow keys of a slider. Reads the JSON
// beside it and writes text alone. Without it the page lacks nothing but this.
"use strict";
(() => {
  const figure = document.querySelector(".picture.timeline");
  const data = JSON.parse(document.getElementById("timeline-data").textContent);
  const slider = figure.querySelector("input");
  const readout = figure.querySelector(".readout");
  const minus = (text) => text.replace("-", "\u2212");
  const seconds = (at) => minus(`${at.toFixed(1)} s`);

  const text = (value, unit) => {
    if (unit === "share") return `${+(value * 100).toFixed(2)}%`;
    if (unit === "duration") return value < 1 ? `${+(value * 1000).toPrecision(4)} ms` : `${+value.toPrecision(4)} s`;
    return `${+value.toPrecision(5)}`;
  };

  // The sample nearest in time; null where none is near: a gap is a gap.
  const nearest = (points, at) => {
    let best = null;
    for (let i = 0; i < points.length; i += 2) {
      if (best === null || Math.abs(points[i] - at) <= Math.abs(points[best] - at)) best = i;
    }
    const step = points.length > 2 ? (points.at(-2) - points[0]) / (points.length / 2 - 1) : Infinity;
    return best === null || points[best + 1] === null || Math.abs(points[best] - at) > 2 * step ? null : points[best + 1];
  };

  const said = (lane, at) => {
    const found = (lane.curves || []).map((curve) => {
      const value = nearest(curve.points, at);
      return value === null ? null : (curve.name ? `${curve.name} ` : "") + text(value, lane.unit);
    }).filter((one) => one !== null).slice(0, 4);
    found.push(...(lane.bars || []).filter(([start, end]) => start <= at && at <= end).map((bar) => bar[2]));
    found.push(...lane.marks.filter(([when]) => Math.abs(when - at) <= data.near).map((mark) => mark[1]));
    return found.join(", ");
  };

  const lines = Object.entries(data.drawings).map(([name, place]) => {
    const svg = figure.querySelector(`svg.${name}`);
    const line = document.createElementNS(svg.namespaceURI, "line");
    line.setAttribute("class", "cursor");
    line.setAttribute("y1", place.top);
    line.setAttribute("y2", place.bottom);
    svg.append(line);
    return { svg, line, place };
  });

  const show = (at) => {
    const share = (at - data.start) / (data.end - data.start);
    const phase = data.phases.find((one) => one[1] <= at && at <= one[2]);
    const title = `${seconds(at)} after the ${data.zero}${phase ? `, ${phase[0]}` : ""}`;
    const rows = data.lanes.map((lane) => [lane.title, said(lane, at)]).filter((row) => row[1]);
    readout.replaceChildren();
    readout.append(Object.assign(document.createElement("p"), { textContent: title }));
    const list = readout.appendChild(document.createElement("dl"));
    for (const [name, value] of rows) {
      list.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value }));
    }
    slider.value = at;
    slider.setAttribute("aria-valuetext", `${title}: ${rows.map((row) => row.join(" ")).join("; ")}`);
    figure.classList.add("reading");
    for (const { svg, line, place } of lines) {
      const x = place.left + share * (place.right - place.left);
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      if (svg.clientWidth) readout.style.setProperty("--x", `${(x / place.width) * svg.clientWidth}px`);
    }
    readout.classList.toggle("before", share > 0.5);
  };

  const hide = () => document.activeElement === slider || figure.classList.remove("reading");
  const point = (event) => {
    const { svg, place } = lines.find((one) => one.svg.clientWidth) || lines[0];
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * place.width;
    if (x < place.left || x > place.right) return hide();
    show(data.start + ((x - place.left) / (place.right - place.left)) * (data.end - data.start));
  };
  for (const { svg } of lines) {
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", (event) => event.pointerType === "touch" || hide());  // a finger that is lifted has read nothing yet
  }
  Object.assign(slider, { min: data.start, max: data.end, step: 0.1, value: Math.min(Math.max(0, data.start), data.end) });
  slider.addEventListener("input", () => show(slider.valueAsNumber));
  slider.addEventListener("focus", () => show(slider.valueAsNumber));
  slider.addEventListener("blur", hide);
  // One press is a step that one sees: a two-hundredth of the axis, ten times that with Page Up and Page Down.
  const stride = (data.end - data.start) / 200;
  const keys = { ArrowRight: stride, ArrowUp: stride, ArrowLeft: -stride, ArrowDown: -stride, PageUp: 10 * stride, PageDown: -10 * stride };
  slider.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    show(Math.min(Math.max(slider.valueAsNumber + keys[event.key], data.start), data.end));
  });
  figure.querySelector(".script-only").hidden = false;
})();
