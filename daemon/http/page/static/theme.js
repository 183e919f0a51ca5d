// Runs before anything is drawn: the colours that were chosen last, or those of the system.
(() => {
  const KEY = 'openduck-theme';
  const root = document.documentElement;
  const apply = (theme) => {
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  const read = () => {
    try {
      return localStorage.getItem(KEY) ?? 'auto';
    } catch {
      return 'auto'; // storage is off
    }
  };
  apply(read());
  document.addEventListener('DOMContentLoaded', () => {
    const select = document.getElementById('theme');
    select.value = read();
    select.addEventListener('change', () => {
      apply(select.value);
      try {
        localStorage.setItem(KEY, select.value);
      } catch {
        // it holds until the page is closed
      }
    });
  });
})();
