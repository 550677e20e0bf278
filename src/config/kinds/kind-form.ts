import type { GatewayForm } from './gateway-form.ts'
import type { InstanceForm } from './instance-form.ts'
import type { MeshForm } from './mesh-form.ts'
import type { PatchForm } from './patch-form.ts'
import type { RouteForm } from './route-form.ts'
import type { SecretForm } from './secret-form.ts'
import type { ServiceForm } from './service-form.ts'
import type { SidecarForm } from './sidecar-form.ts'

/** What a document of one of our kinds says, plain and immutable, without defaults. */
export type KindForm =
  | MeshForm
  | ServiceForm
  | RouteForm
  | GatewayForm
  | SidecarForm
  | SecretForm
  | PatchForm
  | InstanceForm

export type Kind = KindForm['kind']

export type FormOf<K extends Kind> = Extract<KindForm, { readonly kind: K }>
