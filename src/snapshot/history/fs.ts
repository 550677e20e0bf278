import type * as nodeFs from 'node:fs/promises'

/** What the history needs of the file system; tests put failures in between. */
export type HistoryFs = Pick<
  typeof nodeFs,
  'mkdir' | 'open' | 'readdir' | 'readFile' | 'rename' | 'unlink' | 'writeFile'
>
