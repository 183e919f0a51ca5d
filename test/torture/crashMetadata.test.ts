/** The metadata double of the crash harness behaves as the real store does. */
import { ManualClock } from '../fs/manualClock.js';
import { retentionConformance } from '../gc/retentionConformance.js';
import { metadataConformance } from '../metadata/conformance.js';
import { CrashMetadata } from './crashMetadata.js';
import type { MetadataState } from './crashMetadataState.js';

async function openDouble() {
  const clock = new ManualClock();
  const open = (state?: MetadataState) => {
    const store = new CrashMetadata(state);
    store.now = () => clock.now();
    return store;
  };
  let store = open();
  return {
    store,
    passTime: async (ms: number) => clock.advance(ms),
    async reopen() {
      await store.close();
      store = open(store.states()[0]);
      return store;
    },
    dispose: () => store.close(),
  };
}

metadataConformance('crash double', openDouble);
retentionConformance('crash double', openDouble);
