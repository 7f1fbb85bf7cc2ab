// The picture of this moment, kept up to date by the daemon. One connection a page; nothing grows with time.
import { setZone } from './format.js';

/** The daemon is believed to be gone after this much silence, ms. */
const SILENCE_MS = 20000;

const listeners = new Set();
let picture = null;
let clock = { ts: Date.now() / 1000, at: performance.now(), speed: 1 };
let heard = performance.now();
let source = null;

/** The station's clock, UTC s. */
export const now = () => clock.ts + ((performance.now() - clock.at) / 1000) * clock.speed;
/** Whether the daemon has been heard of lately. */
export const isConnected = () => performance.now() - heard < SILENCE_MS && source?.readyState === EventSource.OPEN;
export const newest = () => picture;

/** Calls back with each picture, at once when there is one. */
export function onPicture(listener) {
  listeners.add(listener);
  if (picture) listener(picture);
}

function setClock(ts) {
  clock = { ts, at: performance.now(), speed: picture?.speed ?? 1 };
  heard = performance.now();
}

/** Connects; the browser connects again by itself, and we do where it has given up. */
export function connect() {
  source?.close();
  source = new EventSource('/api/v1/live');
  source.addEventListener('picture', (event) => {
    const next = JSON.parse(event.data);
    if (!next) return;
    picture = next;
    setZone(picture.site.zone);
    setClock(picture.now_ts);
    for (const listener of listeners) listener(picture);
  });
  source.addEventListener('time', (event) => setClock(Number(event.data)));
  source.addEventListener('error', () => {
    if (source.readyState !== EventSource.CLOSED) return;
    // Closed for good: the session is over, or the daemon is being restarted.
    setTimeout(() => fetch('/api/v1/session').then((it) => {
      if (it.status === 401) location.href = '/login';
      else connect();
    }).catch(connect), 5000);
  });
}
