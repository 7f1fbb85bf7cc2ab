// Figures with their units, and the plant's wall clock.
import { t } from './dom.js';

let zone = 'UTC';
let formats = {};

/** Shows times of this zone from now on. */
export function setZone(name) {
  if (name === zone) return;
  zone = name;
  formats = {};
}

const format = (key, options) => (formats[key] ??= new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', ...options }));

/** A figure with its unit; a dash when it is not known. */
export function figure(value, unit = '', digits = 1) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const text = Number(value).toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return unit ? `${text}\u00a0${unit}` : text;
}

export const time = (ts) => format('time', { hour: '2-digit', minute: '2-digit' }).format(ts * 1000);
export const day = (ts) => format('day', { weekday: 'short', day: 'numeric', month: 'short' }).format(ts * 1000);
export const dateTime = (ts) => `${day(ts)} ${time(ts)}`;
/** `YYYY-MM-DD HH:MM` of the plant's wall clock, as plots take it. */
export function stamp(ts) {
  const parts = Object.fromEntries(format('stamp', {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
  }).formatToParts(ts * 1000).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second}`;
}

/** UTC seconds of a local date and time `YYYY-MM-DDTHH:MM`. */
export function utc(local) {
  const naive = Date.parse(`${local}Z`) / 1000;
  // The offset at the time itself is found from a guess that is off by an offset at most.
  const offset = (ts) => Date.parse(`${stamp(ts).replace(' ', 'T')}Z`) / 1000 - ts;
  const guess = naive - offset(naive);
  return naive - offset(guess);
}

/** How long, in words. */
export function span(minutes) {
  if (minutes === null || minutes === undefined) return '–';
  const whole = Math.round(minutes);
  if (whole < 60) return t('unit.min', { n: whole });
  if (whole < 48 * 60) return t('unit.hmin', { h: Math.floor(whole / 60), n: String(whole % 60).padStart(2, '0') });
  return t('unit.days', { n: Math.floor(whole / 1440), h: Math.floor((whole % 1440) / 60) });
}

export const pumps = (list) => (list?.length ? list.join(', ') : t('none'));
