package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Endpoint is a parsed Redis address, with the separate settings laid over it.
type Endpoint struct {
	Addrs      []string // host:port, or the path of one unix socket
	Mode       string   // standalone, sentinel, cluster
	MasterName string   // in sentinel mode
	Username   string
	Password   Secret
	DB         int
	TLS        bool
}

// Endpoint reads the address:
//
//	redis://[user[:password]@]host[:port][,host[:port]…][/db][?master=NAME]
//	rediss://…                                            the same over TLS
//	unix://[user[:password]@]/path/to.sock[?db=N]
//	host:port[,host:port…]
//
// Several hosts are a Cluster, or Sentinels where a master name is given. The settings username, password, db and
// master_name take precedence over the address.
func (r Redis) Endpoint() (Endpoint, error) {
	e, err := parseRedisURL(string(r.URL))
	if err != nil {
		return Endpoint{}, err
	}
	if r.Username != "" {
		e.Username = r.Username
	}
	if r.Password != "" {
		e.Password = r.Password
	}
	if r.DB != 0 {
		e.DB = r.DB
	}
	if r.MasterName != "" {
		e.MasterName = r.MasterName
	}
	e.TLS = e.TLS || r.TLS.Enabled
	e.Mode, err = redisMode(r.Mode, e)
	return e, err
}

func redisMode(wanted string, e Endpoint) (string, error) {
	mode := wanted
	if mode == "" || mode == "auto" {
		switch {
		case e.MasterName != "":
			mode = "sentinel"
		case len(e.Addrs) > 1:
			mode = "cluster"
		default:
			mode = "standalone"
		}
	}
	switch {
	case mode == "sentinel" && e.MasterName == "":
		return "", errors.New("sentinel mode needs redis.master_name")
	case mode != "sentinel" && e.MasterName != "":
		return "", fmt.Errorf("a master name cannot be used in %s mode", mode)
	case mode == "standalone" && len(e.Addrs) > 1:
		return "", errors.New("several addresses are Sentinels (with redis.master_name) or a cluster")
	case mode == "cluster" && e.DB != 0:
		return "", errors.New("a cluster has only database 0")
	}
	return mode, nil
}

func parseRedisURL(text string) (Endpoint, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "redis", text
	}
	// net/url does not accept a list of hosts.
	rest, query, _ := strings.Cut(rest, "?")
	var e Endpoint
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := e.credentials(rest[:at]); err != nil {
			return Endpoint{}, err
		}
		rest = rest[at+1:]
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Endpoint{}, errors.New("the query of the address cannot be read")
	}
	for name := range values {
		if !slices.Contains([]string{"master", "db"}, name) {
			return Endpoint{}, fmt.Errorf("the address has an unknown parameter %q", name)
		}
	}
	e.MasterName = values.Get("master")
	if err := e.database(values.Get("db")); err != nil {
		return Endpoint{}, err
	}

	switch scheme {
	case "unix":
		if !strings.HasPrefix(rest, "/") {
			return Endpoint{}, errors.New("a unix address needs an absolute path, as in unix:///run/redis.sock")
		}
		e.Addrs = []string{rest}
		return e, nil
	case "redis", "rediss":
		e.TLS = scheme == "rediss"
	default:
		return Endpoint{}, fmt.Errorf("%q is not one of redis://, rediss://, unix://", scheme+"://")
	}
	hosts, db, _ := strings.Cut(rest, "/")
	if err := e.database(db); err != nil {
		return Endpoint{}, err
	}
	return e, e.hosts(hosts)
}

func (e *Endpoint) credentials(text string) error {
	user, password, _ := strings.Cut(text, ":")
	var errUser, errPassword error
	e.Username, errUser = url.PathUnescape(user)
	plain, errPassword := url.PathUnescape(password)
	if errUser != nil || errPassword != nil {
		return errors.New("the credentials of the address are not percent-encoded properly")
	}
	e.Password = Secret(plain)
	return nil
}

func (e *Endpoint) database(text string) error {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not the number of a database", text)
	}
	e.DB = n
	return nil
}

func (e *Endpoint) hosts(list string) error {
	for _, host := range strings.Split(list, ",") {
		host = strings.TrimSpace(host)
		if host == "" {
			return errors.New("the address names no host")
		}
		if !strings.Contains(host, ":") || strings.HasSuffix(host, "]") {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "6379")
		}
		if _, port, err := net.SplitHostPort(host); err != nil || port == "" {
			return fmt.Errorf("%q is not host:port", host)
		}
		e.Addrs = append(e.Addrs, host)
	}
	return nil
}

func (v *validation) redis(r Redis) {
	v.oneOf("redis.mode", r.Mode, "auto", "standalone", "sentinel", "cluster")
	if _, err := r.Endpoint(); err != nil {
		v.add("redis", "%w", err)
	}
	v.check("redis.db", r.DB >= 0, "is negative")
	v.check("redis.pool_size", r.PoolSize >= 0, "is negative")
	v.check("redis.prefix", !strings.ContainsAny(r.Prefix, "{}"), "a brace would move every key to one cluster slot")
	v.positive("redis.dial_timeout", r.DialTimeout)
	v.positive("redis.timeout", r.Timeout)
	if e, err := r.Endpoint(); err == nil && !e.TLS {
		v.check("redis.tls", r.TLS == RedisTLS{}, "is set and TLS is off: set redis.tls.enabled, or use rediss://")
	}
	v.check("redis.tls.cert_file", (r.TLS.CertFile == "") == (r.TLS.KeyFile == ""), "cert_file and key_file are set together or not at all")
}
