/** Runs before each file, which shares its process and its modules with the files before it. */
import { afterAll } from 'vitest'
import { closeWhatTheFileOpened } from './at-test-end.ts'

afterAll(closeWhatTheFileOpened)
