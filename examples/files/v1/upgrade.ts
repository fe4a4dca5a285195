import { defineUpgrade } from '../../../src/index.ts'

export default defineUpgrade({
  version: 1,
  description: 'files with owners and modes',
  classes: { PermFS: { object: './perm-fs.ts' } }
})
