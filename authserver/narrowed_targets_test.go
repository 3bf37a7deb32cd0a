package authserver_test

import (
	"testing"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// Finding A1: an access token of the legacy profile whose refresh asked for a narrower audience passes on no more than that.
func TestExchangeKeepsTheAudienceOfALegacyRefresh(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		api := "https://api.example.com"
		ts.putClients(
			&storage.Client{ID: "mover", Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic, Audience: []string{ts.url, api}},
			&storage.Client{ID: "wide", Audience: []string{ts.url, api}, ExchangeFrom: []string{"mover"}},
		)
		refresh := ts.login("mover").text("refresh_token")
		whole := ts.refresh("mover", refresh).text("access_token")
		ts.want("not narrowed", ts.exchange("wide", whole, typeAccess, "audience", api), 200, "")
		narrowed := ts.refresh("mover", refresh, "audience", ts.url).text("access_token")
		ts.want("narrowed to another", ts.exchange("wide", narrowed, typeAccess, "audience", api), 400, "invalid_target")
		ts.want("narrowed to the same", ts.exchange("wide", narrowed, typeAccess, "audience", ts.url), 200, "")
	})
}
