import { messageOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { Delivery, Topic } from './topic.ts'

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

/** What is refused of a delivery; a mistake of this proxy's refuses it too, and never ends the process. */
export function delivered(log: Log, topic: Topic, delivery: Delivery): string | undefined {
  let refused: string | undefined
  const broken = refusalOf(log, () => {
    refused = topic.deliver(delivery)
  })
  return refused ?? broken
}
