/** Direct future SO that refuses to delete only what is there. */
import { CallError } from '../../../../src/index.ts'
import NeverDeletes from './never-deletes.ts'

export default class DeletesAbsent extends NeverDeletes {
  override async delete(x: number) {
    if (await this.contains(x)) throw new CallError('Disallowed', 'nothing can be deleted until this node is upgraded')
  }
}
