import { defineUpgrade, immediately, rolling } from '../../../src/index.ts'

export default defineUpgrade({
  version: 2,
  description: 'sets whose elements have colours',
  classes: {
    IntSet: {
      becomes: 'ColorSet',
      object: './color-set.ts',
      transform: './transform.ts',
      future: './future-color-set.ts',
      past: './past-int-set.ts',
      spec: './spec.ts',
      schedule: { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }
    }
  }
})
