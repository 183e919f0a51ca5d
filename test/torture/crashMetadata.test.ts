/** The metadata double of the crash harness behaves as the real store does. */
import { metadataConformance } from '../metadata/conformance.js';
import { CrashMetadata } from './crashMetadata.js';

metadataConformance('crash double', async () => {
  let store = new CrashMetadata();
  return {
    store,
    async reopen() {
      await store.close();
      store = new CrashMetadata(store.states()[0]);
      return store;
    },
    dispose: () => store.close(),
  };
});
