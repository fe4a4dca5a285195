import { defineUpgrade, immediately, rolling } from '../../../src/index.ts'

export default defineUpgrade({
  version: 1,
  description: 'a replicated key-value store with flat keys',
  classes: {
    KV: {
      object: './kv.ts',
      schedule: { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }
    }
  }
})
