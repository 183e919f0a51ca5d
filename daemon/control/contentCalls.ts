/** The client's side of what moves and checks contents: reading snapshots, imports, checks. */
import type { LayerFinding } from '../../fs/checking.js';
import type { FileChange } from '../../fs/diffSnapshots.js';
import type { EngineCommands } from '../../fs/engineCommands.js';
import { databaseId, layerId, snapshotId } from '../../proto/ids.js';
import type { Call } from './client.js';
import { decodeSnapshot, numberOf } from './messages.js';
import type { FileChangeMessage, LayerFindingMessage } from './protocol.js';

export function contentCalls(
  call: Call,
): Pick<EngineCommands, 'describeSnapshot' | 'readSnapshot'> {
  return {
    describeSnapshot: async (database, when) => {
      const { snapshot, files } = await call('DescribeSnapshot', { database, when });
      return {
        snapshot: decodeSnapshot(snapshot),
        files: files.map(({ name, size }) => ({ suffix: name, size: numberOf(size, 'size') })),
      };
    },
    readSnapshot: async (database, when, file, offset, length) =>
      (await call('ReadSnapshot', { database, when, file, offset, length })).data,
  };
}

export function importCalls(
  call: Call,
): Pick<EngineCommands, 'beginImport' | 'appendImport' | 'finishImport' | 'abandonImport'> {
  return {
    beginImport: async ({ files, ...rest }) => {
      const named = files.map(({ suffix, size }) => ({ name: suffix, size }));
      const { id, positions } = await call('BeginImport', { ...rest, files: named });
      return { id, positions: positions.map((position) => numberOf(position, 'position')) };
    },
    appendImport: async (id, file, offset, data) => {
      await call('AppendImport', { id, file, offset, data });
    },
    finishImport: async (id, checksums) =>
      decodeSnapshot(await call('FinishImport', { id, checksums })),
    abandonImport: async (id) => {
      await call('AbandonImport', { id });
    },
  };
}

const decodeFinding = (finding: LayerFindingMessage): LayerFinding => ({
  layer: layerId(finding.layer),
  key: finding.key,
  kind: finding.kind as LayerFinding['kind'],
  text: finding.text,
  snapshots: finding.snapshots.map(snapshotId),
  repaired: finding.repaired,
});

export function checkCalls(call: Call): Pick<EngineCommands, 'checkMetadata' | 'checkLayers'> {
  return {
    checkMetadata: async () => {
      const { findings, databases } = await call('CheckMetadata', {});
      return {
        findings,
        databases: databases.map((each) => ({ ...each, id: databaseId(each.id) })),
      };
    },
    checkLayers: async (request) => {
      const { position, total, findings } = await call('CheckLayers', request);
      return {
        position: numberOf(position, 'position'),
        total: numberOf(total, 'total'),
        findings: findings.map(decodeFinding),
      };
    },
  };
}

const decodeChange = (change: FileChangeMessage): FileChange => {
  const { name: suffix, before, after } = change;
  return {
    suffix,
    before: before === undefined ? undefined : numberOf(before, 'size'),
    after: after === undefined ? undefined : numberOf(after, 'size'),
    bytes: numberOf(change.bytes, 'bytes'),
    blocks: numberOf(change.blocks, 'blocks'),
    read: numberOf(change.read, 'bytes read'),
  };
};

export function historyCalls(call: Call): Pick<EngineCommands, 'diffSnapshots' | 'removeSnapshot'> {
  return {
    diffSnapshots: async (database, before, after, from) => {
      const reply = await call('DiffSnapshots', { database, before, after, from });
      return {
        position: numberOf(reply.position, 'position'),
        total: numberOf(reply.total, 'total'),
        files: reply.files.map(decodeChange),
      };
    },
    removeSnapshot: async (database, when, named) =>
      decodeSnapshot(await call('RemoveSnapshot', { database, when, named })),
  };
}
