// The log-in.
import { h, t, fill } from './dom.js';
import { post } from './api.js';

export function show(main) {
  const trouble = h('p', { class: 'trouble', role: 'alert', hidden: true });
  const form = h('form', { class: 'panel login', onsubmit: async (event) => {
    event.preventDefault();
    trouble.hidden = true;
    const { user, password } = Object.fromEntries(new FormData(form));
    try {
      await post('/login', { user, password }, '');
      location.href = '/';
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
      form.elements.password.select();
    }
  } },
  h('h2', {}, t('login.title')),
  h('label', { class: 'field', for: 'user' }, h('span', {}, t('login.user')), h('input', { id: 'user', name: 'user', autocomplete: 'username', required: true, autofocus: true })),
  h('label', { class: 'field', for: 'password' }, h('span', {}, t('login.password')),
    h('input', { id: 'password', name: 'password', type: 'password', autocomplete: 'current-password', required: true })),
  trouble,
  h('button', { type: 'submit', class: 'primary' }, t('login.do')));
  fill(main, form);
}
