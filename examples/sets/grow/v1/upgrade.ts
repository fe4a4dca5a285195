import { defineUpgrade } from '../../../../src/index.ts'

export default defineUpgrade({
  version: 1,
  description: 'sets of numbers that never shrink',
  classes: { GrowSet: { object: './grow-set.ts' } }
})
