// What can be changed, each after a question.
import { act } from './connection.js';
import { ask } from './dialogs.js';
import { h, toast } from './dom.js';
import { moment, size, whole } from './format.js';

const nameField = (value, label, more = {}) => ({ name: 'name', label, value, ...more });

/** The moment of a snapshot, for sentences. */
const when = ({ name, committedAt }) =>
  name === null ? `the snapshot of ${moment(committedAt)}` : `the snapshot '${name}'`;

export function takeSnapshot(database, onDone) {
  ask({
    title: `Take a snapshot of ${database}`,
    text: [
      'The newest commit is published now and kept under this name, until the name is taken away.',
    ],
    fields: [
      nameField('', 'Name', { required: false, placeholder: 'without a name if left empty' }),
    ],
    button: 'Take snapshot',
    work: async ({ name }) => {
      const { snapshot } = await act('snapshot', { database, name: name || null });
      onDone();
      return `${database}@${snapshot.name ?? snapshot.id} is there`;
    },
  });
}

export function nameSnapshot(snapshot, onDone) {
  const { database, id, name } = snapshot;
  ask({
    title: name === null ? 'Name this snapshot' : `Rename '${name}'`,
    text: [
      `${database} as of ${moment(snapshot.committedAt)}. Named snapshots are kept by garbage collection.`,
    ],
    fields: [
      nameField(name ?? '', 'Name', {
        required: name === null,
        placeholder: name === null ? '' : 'empty: take the name away',
      }),
    ],
    button: 'Save name',
    work: async ({ name: next }) => {
      await act('name', { database, snapshot: id, name: next || null });
      onDone();
      return next === '' ? 'The snapshot has no name any more' : `Named ${database}@${next}`;
    },
  });
}

export function cloneSnapshot(snapshot, onDone) {
  const { database, id } = snapshot;
  ask({
    title: `Clone ${database}`,
    text: [
      `A new database, writable and independent, that begins with ${when(snapshot)}. Nothing is copied.`,
    ],
    fields: [nameField(`${database}_copy`, 'Name of the new database')],
    button: 'Clone',
    work: async ({ name }) => {
      await act('clone', { database, snapshot: id, name });
      onDone();
      location.hash = `#${encodeURIComponent(name)}`;
      return `${name} is there`;
    },
  });
}

export function restoreSnapshot(snapshot, onDone) {
  const { database, id } = snapshot;
  ask({
    title: `Restore ${database}?`,
    text: [
      `Who opens ${database} from now on sees ${when(snapshot)}.`,
      'What is newer stays in the history: restoring the snapshot before this one takes it back. It is refused while somebody writes.',
    ],
    button: `Restore ${database}`,
    isDanger: true,
    work: async () => {
      await act('restore', { database, snapshot: id });
      onDone();
      return `${database} is restored`;
    },
  });
}

const objects = ({ count, bytes }, what) => `${whole(count)} ${what} (${size(bytes)})`;

function planText(report) {
  const lines = report.databases.map(({ name, dropped, snapshots }) =>
    h('li', {}, `${name}${dropped ? ' (removed)' : ''} loses ${whole(snapshots)} snapshots`),
  );
  lines.push(
    h('li', {}, `${objects(report.unused, 'layers')} become unused, and are deleted in an hour`),
    h('li', {}, `${objects(report.deleted, 'objects')} are deleted now`),
  );
  if (report.orphans.count > 0)
    lines.push(h('li', {}, `${objects(report.orphans, 'orphans')} found`));
  if (report.held > 0)
    lines.push(h('li', {}, `${whole(report.held)} unused layers are still read: later`));
  return h('ul', {}, ...lines);
}

/** Shows first what would go. `database`: undefined for all. */
export async function collect(database, onDone) {
  const body = database === undefined ? {} : { database };
  let plan;
  try {
    plan = await act('gc', { ...body, dryRun: true });
  } catch (error) {
    return toast(error.message);
  }
  const { databases, unused, orphans, deleted } = plan;
  if (databases.length + unused.count + orphans.count + deleted.count === 0) {
    return toast('Nothing to collect');
  }
  ask({
    title: database === undefined ? 'Collect garbage?' : `Collect garbage of ${database}?`,
    text: ['What retention does not keep goes. This is what would go now:', planText(plan)],
    button: 'Collect',
    isDanger: true,
    work: async () => {
      const done = await act('gc', { ...body, dryRun: false });
      onDone();
      return `${whole(done.snapshots)} snapshots went, ${objects(done.deleted, 'objects')} were deleted`;
    },
  });
}
