// Asks before anything is changed: says what will happen, and then what happened.
import { h, toast } from './dom.js';

let fieldNumber = 0;

function fieldOf({ name, label, value = '', required = true, placeholder }) {
  const id = `field-${++fieldNumber}`;
  const input = h('input', {
    id,
    name,
    required,
    placeholder,
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    maxlength: 200,
  });
  input.value = value;
  return { input, element: h('label', { for: id }, label, input) };
}

/**
 * `work` gets the values of the fields by name, and resolves to what is said when it is done. While
 * it fails, the dialog stays and says why.
 */
export function ask({ title, text, fields = [], button, isDanger = false, work }) {
  const made = fields.map(fieldOf);
  const error = h('p', { class: 'error', role: 'alert' });
  const cancel = h('button', { type: 'button' }, 'Cancel');
  const go = h('button', { type: 'submit', class: isDanger ? 'danger' : 'primary' }, button);
  const form = h(
    'form',
    { method: 'dialog' },
    h('h2', { id: 'dialog-title' }, title),
    ...text.map((line) => (typeof line === 'string' ? h('p', {}, line) : line)),
    ...made.map(({ element }) => element),
    error,
    h('div', { class: 'buttons end' }, cancel, go),
  );
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, form);
  const before = document.activeElement;
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  cancel.addEventListener('click', () => dialog.close());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    error.textContent = '';
    try {
      const values = Object.fromEntries(made.map(({ input }) => [input.name, input.value.trim()]));
      const done = await work(values);
      dialog.close();
      if (done !== undefined) toast(done);
    } catch (cause) {
      error.textContent = [cause.message, cause.hint].filter(Boolean).join(' ');
      go.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  // The safe choice has the focus where there is nothing to write.
  (made[0]?.input ?? cancel).focus();
  made[0]?.input.select();
}
