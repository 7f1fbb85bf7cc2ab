// Plots: plotly.js, loaded when the first one is drawn, in the colours of the page.
import { h, t } from './dom.js';

let loading = null;
function library() {
  return (loading ??= new Promise((resolve, reject) => {
    const script = h('script', { src: '/assets/plotly.js' });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(t('plots.missing')));
    document.head.append(script);
  }));
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Lines of a plot, told apart by dash as well as by shade. */
export const LINES = { first: { dash: 'solid' }, second: { dash: 'dot' } };

function themed(layout) {
  const axis = { gridcolor: colour('line'), zerolinecolor: colour('line'), linecolor: colour('line'), automargin: true };
  const whole = {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: colour('text'), size: 13, family: 'inherit' },
    margin: { l: 56, r: 16, t: 12, b: 40 }, hovermode: 'x unified', showlegend: true,
    legend: { orientation: 'h', y: -0.18, x: 0 }, hoverlabel: { bgcolor: colour('panel'), font: { color: colour('text') } },
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: colour('muted'), activecolor: colour('text') },
    ...layout,
  };
  for (const name of new Set(['xaxis', 'yaxis', ...Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))])) whole[name] = { ...axis, ...layout[name] };
  return whole;
}

/**
 * A plot: `traces` and `layout` are functions of a colour's name → colour, so that they follow the theme. `label` says in words
 * what is to be seen; `file` names what is exported.
 */
export function plot({ label, file, height = 320, traces, layout = () => ({}) }) {
  const box = h('div', { class: 'plot', role: 'figure', 'aria-label': label, style: { height: `${height}px` } });
  let drawn = false;
  const draw = async () => {
    const Plotly = await library();
    if (drawn && !box.isConnected) {
      document.removeEventListener('theme', redraw);
      Plotly.purge(box);
      return;
    }
    const config = {
      displaylogo: false, responsive: true, showTips: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'],
      toImageButtonOptions: { filename: file, scale: 2 },
    };
    await Plotly.react(box, traces(colour), themed(layout(colour)), config);
    drawn = true;
  };
  const redraw = () => draw().catch((error) => box.replaceChildren(h('p', { class: 'trouble' }, error.message)));
  document.addEventListener('theme', redraw);
  // It is measured when it is drawn, so it has to stand in the page first.
  requestAnimationFrame(redraw);
  return box;
}

/** A band from the lowest to the highest value and the mean in it. */
export function band(x, { min, mean, max }, { name, unit, colour: line, yaxis = 'y', digits = 1, dash = 'solid', withBand = true }) {
  const common = { x, yaxis, hoverinfo: 'skip', mode: 'lines', showlegend: false, line: { width: 0 }, connectgaps: false };
  const mark = { x, y: mean, yaxis, name, mode: 'lines', connectgaps: false, line: { color: line, width: 1.6, dash }, hovertemplate: `%{y:.${digits}f} ${unit}<extra>${name}</extra>` };
  if (!withBand) return [mark];
  return [{ ...common, y: min }, { ...common, y: max, fill: 'tonexty', fillcolor: `${line}33` }, mark];
}

/** Sessions of the pumps as bars over time, a row a pump. */
export function gantt(bars, { name, colour: fill, yaxis = 'y', pattern = '' }) {
  return {
    type: 'bar', orientation: 'h', name, yaxis, base: bars.map((bar) => bar.from), x: bars.map((bar) => bar.ms), y: bars.map((bar) => bar.pump),
    marker: { color: fill, pattern: { shape: pattern } }, width: 0.7, hovertext: bars.map((bar) => bar.text), hovertemplate: '%{hovertext}<extra></extra>', textposition: 'none',
  };
}

export const PUMPS = ['P6', 'P5', 'P4', 'P3', 'P2', 'P1'];

/** Offers lists as a CSV file. */
export function csvButton(name, columns) {
  return h('button', { type: 'button', class: 'quiet', onclick: () => {
    const keys = Object.keys(columns);
    const rows = columns[keys[0]].map((_, at) => keys.map((key) => columns[key][at] ?? '').join(','));
    const url = URL.createObjectURL(new Blob([[keys.join(','), ...rows].join('\n')], { type: 'text/csv' }));
    const link = h('a', { href: url, download: `${name}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  } }, t('plots.csv'));
}
