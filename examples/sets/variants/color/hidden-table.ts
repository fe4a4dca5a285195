/** Direct: keeps a table for the TF and refuses to tell from it. */
import { CallError } from '../../../../src/index.ts'
import OwnTable from './own-table.ts'

export default class HiddenTable extends OwnTable {
  override async getColor(_x: number): Promise<never> {
    throw new CallError('Disallowed', 'colours are not told until this node is upgraded')
  }
}
