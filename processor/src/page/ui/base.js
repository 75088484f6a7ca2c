// What every part of the page needs: nodes, and figures as people read them.

export function node(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export const whole = (value) => Math.round(value).toLocaleString('en-US');

/** At most three digits that mean something: 4.62 M, 930, 12.1. */
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  for (const [unit, scale] of [['G', 1e9], ['M', 1e6], ['k', 1e3]]) {
    if (size >= scale * (scale === 1e3 ? 10 : 1)) return `${Number((value / scale).toPrecision(3))} ${unit}`;
  }
  if (size >= 100) return whole(value);
  return String(Number(value.toPrecision(3)));
}

export function clock(ms, seconds = false) {
  const options = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  if (seconds) options.second = '2-digit';
  return new Date(ms).toLocaleTimeString('en-GB', options);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || seconds < 0) return '–';
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`;
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
