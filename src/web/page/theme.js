// Before anything is drawn: the theme that was chosen here, or the one of the system.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem('theme'); } catch { /* storage can be switched off */ }
  const system = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
  document.documentElement.dataset.theme = chosen || system;
})();
