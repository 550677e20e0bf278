import { describeWithEnvoy } from '../../support/needs.ts'
import { stockEnvoy } from './stock-envoy.ts'
import { runMeshCases } from './suite.ts'

describeWithEnvoy('the mesh, where it takes seconds', () => {
  // None of them is about sources.
  runMeshCases(stockEnvoy, ['files'], { form: 'long' })
})
