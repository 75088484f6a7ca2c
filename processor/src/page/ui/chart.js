// Line charts as SVG, sized to their figure, with the same figures as a table behind each.
// A series: {label, unit, points: [[timeMs, value or null], ...], axis: 'left' | 'right', area}.

import { clock, node, short } from './base.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 170;
const PAD = { top: 8, right: 12, bottom: 22, left: 44 };
/** Lines are told apart by dashes too, not by color alone. */
const DASHES = ['', '6 4', '2 4'];

function shape(name, attributes = {}, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A step of 1, 2 or 5 times a power of ten that gives at most `most` steps. */
function niceStep(range, most) {
  const raw = range / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw);
}

function axisOf(series) {
  const values = series.flatMap(({ points }) => points.map(([, value]) => value)).filter((v) => v !== null);
  const highest = values.length ? Math.max(...values) : 0;
  if (highest <= 0) return { top: 1, ticks: [0, 1] };
  const step = niceStep(highest, 4);
  const count = Math.ceil(highest / step - 1e-9);
  return { top: step * count, ticks: Array.from({ length: count + 1 }, (_, at) => at * step) };
}

const TIME_STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * 60_000);

function timeTicks(from, to, width) {
  const most = Math.max(2, Math.floor(width / 70));
  const step = TIME_STEPS_MS.find((candidate) => (to - from) / candidate <= most) ?? 86_400_000;
  const offset = new Date(from).getTimezoneOffset() * 60_000;
  const ticks = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** Draws again only when data or width changed: a pointer may rest on it. */
export function chart(figure, { series, from, to, description }) {
  const shown = series.filter(({ points }) => points.some(([, value]) => value !== null));
  const parts = partsOf(figure);
  parts.empty.hidden = shown.length > 0;
  parts.key.hidden = shown.length === 0;
  parts.details.hidden = shown.length === 0;
  parts.plot.hidden = shown.length === 0;
  parts.state = { series: shown, from, to, description };
  if (shown.length === 0) return;
  parts.key.replaceChildren(...shown.map((one, at) => keyEntry(one, at)));
  draw(parts);
  if (parts.details.open) fillTable(parts);
}

const figures = new WeakMap();

function partsOf(figure) {
  let parts = figures.get(figure);
  if (parts) return parts;
  parts = {
    empty: node('p', { class: 'empty' }, 'No data yet.'),
    key: node('ul', { class: 'key' }),
    plot: node('div'),
    table: node('div', { tabindex: '0', role: 'region' }),
    details: node('details', {}, node('summary', {}, 'Figures as a table')),
  };
  const title = figure.querySelector('h3')?.textContent ?? 'Figures';
  parts.title = title;
  parts.table.setAttribute('aria-label', `${title}, figures`);
  parts.details.append(parts.table);
  parts.details.addEventListener('toggle', () => parts.details.open && fillTable(parts));
  figure.append(parts.empty, parts.key, parts.plot, parts.details);
  new ResizeObserver(() => parts.state?.series.length && draw(parts)).observe(figure);
  figures.set(figure, parts);
  return parts;
}

function keyEntry({ label, unit, points }, at) {
  const swatch = shape('svg', { width: 22, height: 8, 'aria-hidden': 'true' });
  swatch.append(shape('line', {
    x1: 1, x2: 21, y1: 4, y2: 4, class: `stroke c${at + 1}`, 'stroke-dasharray': DASHES[at] ?? '',
  }));
  const last = points.findLast(([, value]) => value !== null);
  return node('li', {}, swatch, `${label}: ${short(last[1])}${unit ? ` ${unit}` : ''}`);
}

function draw(parts) {
  const { series, from, to, description } = parts.state;
  const width = Math.max(220, Math.floor(parts.plot.clientWidth || 320));
  const drawn = JSON.stringify([width, from, to, series]);
  if (parts.drawn === drawn) return;
  parts.drawn = drawn;
  const right = series.filter(({ axis }) => axis === 'right');
  const pad = { ...PAD, right: right.length ? 44 : PAD.right };
  const inner = { width: width - pad.left - pad.right, height: HEIGHT - pad.top - pad.bottom };
  const x = (ms) => pad.left + ((ms - from) / Math.max(1, to - from)) * inner.width;
  const svg = shape('svg', { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img' });
  svg.setAttribute('aria-label', `${parts.title}: ${description ?? describe(series)}`);
  const axes = { left: axisOf(series.filter(({ axis }) => axis !== 'right')), right: axisOf(right) };
  const y = (value, axis) => pad.top + inner.height * (1 - value / axes[axis].top);
  for (const tick of axes.left.ticks) {
    const at = y(tick, 'left');
    svg.append(shape('line', { x1: pad.left, x2: width - pad.right, y1: at, y2: at, class: 'grid' }));
    svg.append(shape('text', { x: pad.left - 6, y: at + 4, 'text-anchor': 'end' }, short(tick)));
  }
  if (right.length) {
    for (const tick of axes.right.ticks) {
      svg.append(shape('text', { x: width - pad.right + 6, y: y(tick, 'right') + 4 }, short(tick)));
    }
  }
  for (const tick of timeTicks(from, to, inner.width)) {
    const at = Math.min(Math.max(x(tick), pad.left + 14), width - 16);
    svg.append(shape('text', { x: at, y: HEIGHT - 6, 'text-anchor': 'middle' }, clock(tick)));
  }
  series.forEach((one, at) => svg.append(...marks(one, at, x, (value) => y(value, one.axis ?? 'left'), pad.top + inner.height)));
  parts.plot.replaceChildren(svg);
}

/** A line with gaps where minutes are missing; a lone point is a dot. */
function marks({ points, area }, at, x, y, floor) {
  const runs = [[]];
  for (const [ms, value] of points) {
    if (value === null) runs.push([]);
    else runs.at(-1).push([x(ms), y(value)]);
  }
  const fixed = (number) => number.toFixed(1);
  const path = (run) => run.map(([px, py], i) => `${i ? 'L' : 'M'}${fixed(px)} ${fixed(py)}`).join('');
  const out = [];
  for (const run of runs.filter((each) => each.length)) {
    if (run.length === 1) {
      out.push(shape('circle', { cx: fixed(run[0][0]), cy: fixed(run[0][1]), r: 3, class: `f${at + 1}` }));
      continue;
    }
    if (area) {
      const closed = `${path(run)}L${fixed(run.at(-1)[0])} ${floor}L${fixed(run[0][0])} ${floor}Z`;
      out.push(shape('path', { d: closed, class: `area f${at + 1}` }));
    }
    out.push(shape('path', { d: path(run), class: `stroke c${at + 1}`, 'stroke-dasharray': DASHES[at] ?? '' }));
  }
  return out;
}

function describe(series) {
  return series.map(({ label, unit, points }) => {
    const values = points.map(([, value]) => value).filter((value) => value !== null);
    const range = `${short(Math.min(...values))} to ${short(Math.max(...values))}`;
    return `${label} now ${short(values.at(-1))}${unit ? ` ${unit}` : ''}, between ${range}`;
  }).join('; ');
}

function fillTable(parts) {
  const { series } = parts.state;
  const times = [...new Set(series.flatMap(({ points }) => points.map(([ms]) => ms)))].sort((a, b) => b - a);
  const columns = series.map(({ points }) => new Map(points));
  const heads = series.map(({ label, unit }) => node('th', { scope: 'col', class: 'num' }, unit ? `${label}, ${unit}` : label));
  const rows = times.map((ms) => {
    const cells = columns.map((column) => node('td', { class: 'num' }, short(column.get(ms) ?? null)));
    return node('tr', {}, node('th', { scope: 'row' }, clock(ms)), ...cells);
  });
  const scroll = parts.table.scrollTop;
  parts.table.replaceChildren(node('table', {},
    node('thead', {}, node('tr', {}, node('th', { scope: 'col' }, 'Time'), ...heads)), node('tbody', {}, ...rows)));
  parts.table.scrollTop = scroll;
}

/** A trend inside a row of a table; the number beside it says the same to who cannot see it. */
export function sparkline(points, label) {
  const width = 150;
  const height = 30;
  const svg = shape('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label });
  const known = points.filter(([, value]) => value !== null);
  if (known.length === 0) return svg;
  // The whole half hour, so that a stream of two minutes does not look like one of thirty.
  const [from, to] = [points[0][0], points.at(-1)[0]];
  const top = Math.max(1, ...known.map(([, value]) => value));
  const x = (ms) => 2 + ((ms - from) / Math.max(1, to - from)) * (width - 4);
  const y = (value) => height - 3 - (value / top) * (height - 6);
  svg.append(...marks({ points, area: true }, 0, x, y, height));
  return svg;
}
