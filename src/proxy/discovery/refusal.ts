import { messageOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { ConfigRejection } from '../config/config-rejection.ts'

/** What `act` is refused for, or undefined. A mistake of this proxy's refuses too, and is told of. */
export function refusalOf(log: Log, act: () => void): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (!(error instanceof ConfigRejection)) log.error({ err: error }, 'a resource could not be taken')
    return messageOf(error)
  }
}
