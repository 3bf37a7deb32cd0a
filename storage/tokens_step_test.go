package storage

import (
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// thirdPartyClient is a client of another registry, with a policy that nothing has validated.
type thirdPartyClient struct {
	fosite.Client
	policy policy.Client
}

func (c thirdPartyClient) Policy() policy.Client { return c.policy }

func TestGraceIsBoundedForEveryClient(t *testing.T) {
	plain := &fosite.DefaultClient{ID: "plain"}
	for name, row := range map[string]struct {
		options time.Duration
		client  fosite.Client
		want    time.Duration
	}{
		"without a policy":           {3 * time.Second, plain, 3 * time.Second},
		"without a policy, too long": {time.Hour, plain, policy.MaxGrace},
		"own policy":                 {3 * time.Second, thirdPartyClient{plain, policy.Client{Grace: 5 * time.Second}}, 5 * time.Second},
		"own policy, too long":       {0, thirdPartyClient{plain, policy.Client{Grace: time.Hour}}, policy.MaxGrace},
		"own policy, strict":         {0, thirdPartyClient{plain, policy.Client{Refresh: policy.RefreshStrict, Grace: 5 * time.Second}}, 0},
		"own policy, fapi2":          {0, thirdPartyClient{plain, policy.Client{Refresh: policy.RefreshFAPI2, Grace: 5 * time.Second}}, 0},
		"own policy, negative":       {0, thirdPartyClient{plain, policy.Client{Grace: -time.Second}}, 0},
	} {
		if got := (&Tokens{grace: row.options}).policyOf(row.client).Grace; got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}
