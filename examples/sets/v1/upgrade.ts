import { defineUpgrade } from '../../../src/index.ts'

export default defineUpgrade({
  version: 1,
  description: 'sets of numbers',
  classes: { IntSet: { object: './int-set.ts' } }
})
