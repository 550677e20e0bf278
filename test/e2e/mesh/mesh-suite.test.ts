import { findEtcd } from '../../support/etcd.ts'
import { describeWithEnvoy, describeWithEtcd } from '../../support/needs.ts'
import { stockEnvoy } from './stock-envoy.ts'
import { runMeshCases } from './suite.ts'

describeWithEnvoy('the mesh', () => {
  if (findEtcd() !== undefined) runMeshCases(stockEnvoy, ['files', 'etcd'], { form: 'brief' })
  else {
    runMeshCases(stockEnvoy, ['files'], { form: 'brief' })
    describeWithEtcd('a stock Envoy, from etcd', () => {})
  }
})
