// Assistant: a question in plain language, an answer with its figures and the SQL behind them.
import { h, t, fill, panel, table } from './dom.js';
import { figure } from './format.js';
import { get, post } from './api.js';
import { plot } from './plots.js';

/** Answers kept on the page. */
const KEPT_MAX = 30;

const cell = (value) => (typeof value === 'number' ? figure(value, '', Number.isInteger(value) ? 0 : 2) : value ?? '–');

function shown({ show, rows }, question) {
  if (!rows || rows.rows.length === 0 || show.as === 'sentence') return null;
  const column = (name) => rows.rows.map((row) => row[rows.columns.indexOf(name)]);
  if (show.as === 'line' || show.as === 'bars') {
    const type = show.as === 'line' ? { mode: 'lines' } : { type: 'bar' };
    const dashes = ['solid', 'dot', 'dash'];
    return plot({
      label: question, file: 'answer', height: 300,
      traces: (colour) => show.y.map((name, at) => ({ ...type, x: column(show.x), y: column(name), name: name.replaceAll('_', ' '), line: { color: colour(at ? 'plot-2' : 'plot'), dash: dashes[at % 3] }, marker: { color: colour(at ? 'plot-2' : 'plot') }, hovertemplate: `%{y:.2f} ${show.unit}<extra>%{x}</extra>` })),
      layout: () => ({ hovermode: 'closest', showlegend: show.y.length > 1, yaxis: { title: { text: show.unit } }, xaxis: show.as === 'bars' ? { type: 'category' } : {} }),
    });
  }
  return table(question, rows.columns.map((name, at) => [name.replaceAll('_', ' '), (row) => cell(row[at]), typeof rows.rows[0][at] === 'number']), rows.rows);
}

function card(answer) {
  return h('article', { class: `answer ${answer.refused ? 'refused' : ''}` },
    h('h3', {}, answer.question),
    h('p', { class: 'text' }, answer.text),
    shown(answer, answer.question),
    answer.rows?.cut && h('p', { class: 'note' }, t('assistant.cut')),
    answer.sql && h('details', {}, h('summary', {}, t('assistant.sql')), h('pre', { tabindex: '0' }, answer.sql)),
    h('p', { class: 'note' }, t('assistant.by', { engine: answer.engine })));
}

export async function show(main) {
  const answers = h('div', { class: 'answers', role: 'log', 'aria-live': 'polite', 'aria-label': t('assistant.answers') });
  const input = h('input', { id: 'question', name: 'question', maxlength: '500', required: true, autocomplete: 'off', placeholder: t('assistant.placeholder') });
  const button = h('button', { type: 'submit', class: 'primary' }, t('assistant.ask'));
  const ask = async (question) => {
    button.disabled = true;
    const waiting = h('p', { class: 'empty' }, t('assistant.thinking'));
    answers.prepend(waiting);
    try {
      answers.prepend(card(await post('/ask', { question })));
    } catch (error) {
      answers.prepend(h('p', { class: 'trouble', role: 'alert' }, error.message));
    } finally {
      waiting.remove();
      button.disabled = false;
      while (answers.childElementCount > KEPT_MAX) answers.lastElementChild.remove();
    }
  };
  const form = h('form', { class: 'controls', onsubmit: (event) => {
    event.preventDefault();
    ask(input.value);
    input.select();
  } }, h('label', { class: 'field grow', for: 'question' }, h('span', {}, t('assistant.question')), input), button);
  const { examples, engine } = await get('/assistant');
  fill(main, panel(t('assistant.title'), {}, h('p', { class: 'note' }, engine ? t('assistant.with', { engine }) : t('assistant.built_in')), form,
    h('div', { class: 'examples', role: 'group', 'aria-label': t('assistant.examples') }, examples.map((question) => h('button', { type: 'button', class: 'quiet', onclick: () => { input.value = question; ask(question); } }, question)))), answers);
  input.focus();
}
