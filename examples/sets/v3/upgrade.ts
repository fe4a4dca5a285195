import { defineUpgrade, immediately, rolling } from '../../../src/index.ts'

export default defineUpgrade({
  version: 3,
  description: 'sets whose elements have flavours instead of colours',
  classes: {
    ColorSet: {
      becomes: 'FlavorSet',
      object: './flavor-set.ts',
      transform: './transform.ts',
      future: './future-flavor-set.ts',
      past: './past-color-set.ts',
      spec: './spec.ts',
      schedule: { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }
    }
  }
})
