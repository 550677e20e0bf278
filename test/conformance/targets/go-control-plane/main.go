// A control plane of go-control-plane's own parts, as little as it takes to play the conformance cases against it: its
// snapshot cache, its server, and snapshots out of the runner's directory.
//
//	serve: gcp-target -xds 127.0.0.1:18100 -load 127.0.0.1:18101
//	apply: gcp-target -apply 127.0.0.1:18101 DIR
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"time"

	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	extensionservice "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	// What the runner's resources hold: the JSON of an Any is read by the types that are linked.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

func main() {
	xds := flag.String("xds", "127.0.0.1:18100", "where clients connect")
	load := flag.String("load", "127.0.0.1:18101", "where a directory is told")
	apply := flag.String("apply", "", "tell the server at this -load address the directory in the argument, and end")
	ads := flag.Bool("ads", false, "the cache's ADS mode: hold responses until all resources are named")
	flag.Parse()
	var err error
	if *apply != "" {
		err = tell(*apply, flag.Arg(0))
	} else {
		err = serve(*xds, *load, *ads)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func tell(address, dir string) error {
	answer, err := http.Post("http://"+address, "text/plain", bytes.NewBufferString(dir))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return errors.New(string(text))
	}
	return nil
}

// A group's nodes are those whose cluster it is named for.
type byCluster struct{}

func (byCluster) ID(node *core.Node) string { return node.GetCluster() }

func serve(xds, load string, ads bool) error {
	// Heartbeats concern resources with a TTL alone.
	snapshots := cache.NewSnapshotCacheWithHeartbeating(context.Background(), ads, byCluster{}, nil, 300*time.Millisecond)
	listener, err := net.Listen("tcp", xds)
	if err != nil {
		return err
	}
	// As much as the suite's largest request needs.
	grpcServer := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	register(grpcServer, server.NewServer(context.Background(), snapshots, nil))
	known := map[string]bool{}
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		dir, err := io.ReadAll(request.Body)
		if err == nil {
			err = take(snapshots, string(dir), known)
		}
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadRequest)
		}
	})
	go func() { log.Fatal(http.ListenAndServe(load, nil)) }()
	return grpcServer.Serve(listener)
}

func register(to *grpc.Server, all server.Server) {
	discovery.RegisterAggregatedDiscoveryServiceServer(to, all)
	clusterservice.RegisterClusterDiscoveryServiceServer(to, all)
	endpointservice.RegisterEndpointDiscoveryServiceServer(to, all)
	listenerservice.RegisterListenerDiscoveryServiceServer(to, all)
	routeservice.RegisterRouteDiscoveryServiceServer(to, all)
	routeservice.RegisterScopedRoutesDiscoveryServiceServer(to, all)
	routeservice.RegisterVirtualHostDiscoveryServiceServer(to, all)
	secretservice.RegisterSecretDiscoveryServiceServer(to, all)
	runtimeservice.RegisterRuntimeDiscoveryServiceServer(to, all)
	extensionservice.RegisterExtensionConfigDiscoveryServiceServer(to, all)
}

// One file for each group, in JSON.
type group struct {
	Nodes struct {
		Cluster string `json:"cluster"`
	} `json:"nodes"`
	Resources []json.RawMessage `json:"resources"`
}

// Sets the snapshot of every group that has a file, and clears those that have none any more.
func take(snapshots cache.SnapshotCache, dir string, known map[string]bool) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	present := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var read group
		if err := json.Unmarshal(text, &read); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		snapshot, err := snapshotOf(read.Resources)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		present[read.Nodes.Cluster] = true
		if err := snapshots.SetSnapshot(context.Background(), read.Nodes.Cluster, snapshot); err != nil {
			return err
		}
	}
	for cluster := range known {
		if !present[cluster] {
			snapshots.ClearSnapshot(cluster)
			delete(known, cluster)
		}
	}
	for cluster := range present {
		known[cluster] = true
	}
	return nil
}

// The version of a type is a hash of its content, so that a type that did not change is not sent.
func snapshotOf(resources []json.RawMessage) (*cache.Snapshot, error) {
	byType := map[types.ResponseType][]types.ResourceWithTTL{}
	for _, text := range resources {
		one, typeURL, err := resourceOf(text)
		if err != nil {
			return nil, err
		}
		index := cache.GetResponseType(typeURL)
		if index == types.UnknownType {
			return nil, fmt.Errorf("there is no type %s", typeURL)
		}
		byType[index] = append(byType[index], one)
	}
	snapshot := &cache.Snapshot{}
	for index := types.Cluster; index < types.UnknownType; index++ {
		version, err := versionOf(byType[index])
		if err != nil {
			return nil, err
		}
		snapshot.Resources[index] = cache.NewResourcesWithTTL(version, byType[index])
	}
	return snapshot, nil
}

// A resource, or a wrapper with a TTL; the cache has no place for a wrapper's aliases.
func resourceOf(text json.RawMessage) (types.ResourceWithTTL, string, error) {
	none := types.ResourceWithTTL{}
	packed := &anypb.Any{}
	if err := protojson.Unmarshal(text, packed); err != nil {
		return none, "", err
	}
	message, err := packed.UnmarshalNew()
	if err != nil {
		return none, "", err
	}
	wrapper, isWrapper := message.(*discovery.Resource)
	if !isWrapper {
		return types.ResourceWithTTL{Resource: message}, packed.TypeUrl, nil
	}
	inner, err := wrapper.Resource.UnmarshalNew()
	if err != nil {
		return none, "", err
	}
	one := types.ResourceWithTTL{Resource: inner}
	if wrapper.Ttl != nil {
		ttl := wrapper.Ttl.AsDuration()
		one.TTL = &ttl
	}
	return one, wrapper.Resource.TypeUrl, nil
}

func versionOf(resources []types.ResourceWithTTL) (string, error) {
	texts := make([]string, 0, len(resources))
	for _, one := range resources {
		content, err := proto.MarshalOptions{Deterministic: true}.Marshal(one.Resource)
		if err != nil {
			return "", err
		}
		ttl := time.Duration(0)
		if one.TTL != nil {
			ttl = *one.TTL
		}
		texts = append(texts, fmt.Sprintf("%v %x", ttl, content))
	}
	sort.Strings(texts)
	hash := sha256.New()
	for _, text := range texts {
		hash.Write([]byte(text))
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}
