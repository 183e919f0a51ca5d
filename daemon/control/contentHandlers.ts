/** The server's side of what moves and checks contents: reading snapshots, imports, checks. */
import type { EngineCommands } from '../../fs/engineCommands.js';
import { databaseId } from '../../proto/ids.js';
import { encodeSnapshot, numberOf } from './messages.js';
import type { ControlHandlers } from './protocol.js';

export type ContentHandlers = Pick<
  ControlHandlers,
  | 'DescribeSnapshot'
  | 'ReadSnapshot'
  | 'BeginImport'
  | 'AppendImport'
  | 'FinishImport'
  | 'AbandonImport'
  | 'CheckMetadata'
  | 'CheckLayers'
  | 'DiffSnapshots'
  | 'RemoveSnapshot'
>;

export function contentHandlers(commands: EngineCommands): ContentHandlers {
  return {
    DescribeSnapshot: async ({ database, when }) => {
      const { snapshot, files } = await commands.describeSnapshot(database, when);
      const named = files.map(({ suffix, size }) => ({ name: suffix, size }));
      return { snapshot: encodeSnapshot(snapshot), files: named };
    },
    ReadSnapshot: async ({ database, when, file, offset, length }) => {
      const at = numberOf(offset, 'offset');
      return { data: await commands.readSnapshot(database, when, file, at, length) };
    },
    BeginImport: ({ files, ...rest }) =>
      commands.beginImport({
        ...rest,
        files: files.map(({ name, size }) => ({ suffix: name, size: numberOf(size, 'size') })),
      }),
    AppendImport: async ({ id, file, offset, data }) => {
      await commands.appendImport(id, file, numberOf(offset, 'offset'), data);
      return {};
    },
    FinishImport: async ({ id, checksums }) =>
      encodeSnapshot(await commands.finishImport(id, checksums)),
    AbandonImport: async ({ id }) => {
      await commands.abandonImport(id);
      return {};
    },
    CheckMetadata: () => commands.checkMetadata(),
    CheckLayers: ({ database, from, deep, repair, backup }) =>
      commands.checkLayers({
        database: databaseId(database),
        from: numberOf(from, 'position'),
        deep,
        repair,
        backup,
      }),
    DiffSnapshots: async ({ database, before, after, from }) => {
      const at = numberOf(from, 'position');
      const { files, ...rest } = await commands.diffSnapshots(database, before, after, at);
      return {
        ...rest,
        files: files.map(({ suffix, ...change }) => ({ name: suffix, ...change })),
      };
    },
    RemoveSnapshot: async ({ database, when, named }) =>
      encodeSnapshot(await commands.removeSnapshot(database, when, named)),
  };
}
