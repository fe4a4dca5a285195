import { defineUpgrade, immediately, rolling } from '../../../src/index.ts'

export default defineUpgrade({
  version: 2,
  description: 'namespaces, expiry, and compare-and-set instead of put',
  classes: {
    KV: {
      becomes: 'KV2',
      object: './kv2.ts',
      transform: './transform.ts',
      future: './future-kv2.ts',
      past: './past-kv.ts',
      spec: './spec.ts',
      schedule: { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }
    }
  }
})
