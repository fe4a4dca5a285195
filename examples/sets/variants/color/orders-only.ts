/** The right orders, but only deletions are intercepted: a crash in an insertion leaves a colour that nobody clears. */
import type { StateWrite, Value } from '../../../../src/index.ts'
import FileTable from './file-table.ts'

export default class OrdersOnly extends FileTable {
  static override intercepts = ['delete'] as never
  override async intercept(_method: string, [x]: Value[]): Promise<StateWrite[]> {
    this.forget(x as number)
    return []
  }
}
