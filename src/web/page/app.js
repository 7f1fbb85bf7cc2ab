// Every page: the bar on top, the age of the data, the theme, and the page's own script.
import { h, t, fill } from './dom.js';
import { dateTime, span } from './format.js';
import * as live from './live.js';
import { post, who } from './api.js';
import { mark } from './severity.js';

const page = document.body.dataset.page;
const main = document.getElementById('main');

function chooseTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
  try { localStorage.setItem('theme', root.dataset.theme); } catch { /* it holds for this page, then */ }
  document.dispatchEvent(new Event('theme'));
}

async function tools() {
  const user = await who();
  const tools = document.getElementById('tools');
  fill(tools,
    h('button', { type: 'button', class: 'quiet', onclick: chooseTheme, title: t('frame.theme_hint') }, t('frame.theme')),
    user.user && h('button', { type: 'button', class: 'quiet', title: t(`role.${user.role}`), onclick: async () => {
      await post('/logout', {}, '');
      location.href = '/login';
    } }, t('frame.log_out', { user: user.user })));
}

let said = '';
/** The age of the newest sample and what is open, always in sight. */
function tellStatus() {
  const status = document.getElementById('status');
  const picture = live.newest();
  const connected = live.isConnected();
  const ts = picture?.row?.ts;
  const ageMin = ts ? Math.max(0, (live.now() - ts) / 60) : null;
  const stale = ageMin !== null && ageMin > picture.stale_after_min;
  let state = 'fresh';
  let text;
  if (!picture && !connected) [state, text] = ['lost', t('frame.connecting')];
  else if (!connected) [state, text] = ['lost', t('frame.lost', { age: ts ? span(ageMin) : '–' })];
  else if (!ts) [state, text] = ['stale', t('frame.no_row')];
  else if (stale) [state, text] = ['stale', t('frame.stale', { age: span(ageMin), at: dateTime(ts) })];
  else text = t('frame.fresh', { age: span(ageMin), at: dateTime(ts) });
  const stop = picture?.logging_stop;
  if (connected && stale && stop && !stop.began_ts) text += t('frame.stopped', { at: dateTime(stop.stopped_ts) });
  if (connected && ts && picture.row.source !== 'historian') text += t(`frame.${picture.row.source}`);
  const open = picture?.alerts.open;
  const key = JSON.stringify([state, text, open]);
  if (key === said) return;
  said = key;
  document.body.dataset.state = state;
  const counts = open ? ['CRITICAL', 'HIGH', 'WARNING'].filter((it) => open[it]) : [];
  fill(status,
    h('span', { class: `age ${state}` }, state !== 'fresh' && h('span', { class: 'sign', 'aria-hidden': 'true' }, '▲ '), text),
    h('a', { class: 'open-alerts', href: '/alerts', id: 'open-alerts' },
      counts.length
        ? counts.map((it) => h('span', { class: 'count' }, mark(it), ` ${open[it]}`, h('span', { class: 'hidden' }, ` ${t(`severity.${it}`)} `)))
        : t('frame.no_alert')));
}

async function start() {
  if (page !== 'login') {
    live.connect();
    live.onPicture(tellStatus);
    setInterval(tellStatus, 1000);
    tellStatus();
    tools().catch((error) => console.warn(error.message));
  }
  const { show } = await import(`./${page}.js`);
  await show(main);
}

start().catch((error) => fill(main, h('p', { class: 'trouble', role: 'alert' }, t('frame.broken', { why: error.message }))));
