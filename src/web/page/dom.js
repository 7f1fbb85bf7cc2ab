// Building pages: elements, texts. Nothing is ever put into a page as HTML.
import texts from './texts.js';

const SVG = 'http://www.w3.org/2000/svg';

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') for (const [key, to] of Object.entries(value)) element.style.setProperty(key, to);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element of the page. */
export const h = (tag, properties, ...children) => build(document.createElement(tag), properties, children);
/** An element of a drawing. */
export const s = (tag, properties, ...children) => build(document.createElementNS(SVG, tag), properties, children);

/** A text by its path, `{name}` in it replaced. */
export function t(path, values = {}) {
  const text = path.split('.').reduce((at, key) => at?.[key], texts);
  if (typeof text !== 'string') return path;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

/** Replaces what an element holds, keeping the focus where it was. */
export function fill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : null;
  element.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  if (focused) document.getElementById(focused)?.focus();
}

/** A panel with a heading. */
export const panel = (title, properties, ...children) =>
  h('section', { ...properties, class: `panel ${properties?.class ?? ''}` }, h('h2', {}, title), ...children);

/** Says that there is nothing, and why. */
export const empty = (text) => h('p', { class: 'empty' }, text);

/** A table: columns of [title, cell(row), isNumber]. */
export function table(caption, columns, rows, rowProperties = () => ({})) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h('table', {}, h('caption', { class: 'quiet' }, caption),
      h('thead', {}, h('tr', {}, columns.map(([title, , number]) => h('th', { scope: 'col', class: number && 'number' }, title)))),
      h('tbody', {}, rows.map((row) => h('tr', rowProperties(row),
        columns.map(([, cell, number]) => h('td', { class: number && 'number' }, cell(row))))))));
}

/** A labelled choice. */
export function choice(label, id, options, value, onchange) {
  return h('label', { class: 'field', for: id }, h('span', {}, label),
    h('select', { id, onchange: (event) => onchange?.(event.target.value) },
      options.map(([key, text]) => h('option', { value: key, selected: key === value }, text))));
}
