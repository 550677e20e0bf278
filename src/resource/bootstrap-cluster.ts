/** What every bootstrap that `fairlead bootstrap` prints calls the cluster of the control plane itself. */
export const bootstrapCluster = 'fairlead'
