import { defineUpgrade, immediately, rolling } from '../../../../src/index.ts'

export default defineUpgrade({
  version: 2,
  description: 'sets of numbers that can be deleted again',
  classes: {
    GrowSet: {
      becomes: 'IntSet',
      object: './int-set.ts',
      transform: './transform.ts',
      future: './future-int-set.ts',
      past: './past-grow-set.ts',
      spec: './spec.ts',
      schedule: { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }
    }
  }
})
