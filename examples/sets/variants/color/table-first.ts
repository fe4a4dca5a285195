/** Always the table first: a crash in a deletion leaves an element that has lost its colour. */
import FileTable from './file-table.ts'

export default class TableFirst extends FileTable {
  override async delete(x: number) {
    this.forget(x)
    await this.context.delegate.delete(x)
  }
}
