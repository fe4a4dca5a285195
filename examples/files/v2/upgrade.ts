import { defineUpgrade, immediately, rolling } from '../../../src/index.ts'

export default defineUpgrade({
  version: 2,
  description: 'files with access lists',
  classes: {
    PermFS: {
      becomes: 'AclFS',
      object: './acl-fs.ts',
      transform: './transform.ts',
      future: './future-acl-fs.ts',
      past: './past-perm-fs.ts',
      spec: './spec.ts',
      schedule: { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }
    }
  }
})
