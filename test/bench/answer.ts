/** What a child process can be asked: each command takes one plain value and gives one. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>

/** In a child process: answers what the parent asks, until the parent is gone. */
export function answer(commands: Commands): void {
  process.on('disconnect', () => process.exit())
  process.on('message', (message: { readonly id: number; readonly command: string; readonly argument: never }) => {
    const { id, command, argument } = message
    const run = async (): Promise<unknown> => await commands[command]?.(argument)
    run().then(
      (value) => process.send?.({ id, value }),
      (error: unknown) => process.send?.({ id, error: error instanceof Error ? (error.stack ?? '') : String(error) }),
    )
  })
}
