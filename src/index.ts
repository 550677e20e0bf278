/** What a program that embeds the control plane may use; everything else may change without notice. */
export { type ControlPlane, type ControlPlaneDeps, createControlPlane } from './control-plane.ts'
export { ControlPlaneError, type ErrorCode, formatOrigin, type Origin, type Problem } from './errors.ts'
export { createLog, type Log } from './log.ts'
export { resolveOptions, type ServeOptions } from './options/options.ts'
export type { Pipeline, PipelineSource } from './pipeline.ts'
export type { Document, Source, SourceUpdate } from './source/source.ts'
