package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// requestRecord is the stored form of a request that belongs to a code, and of a pushed one:
//
//	1 byte  version, 1
//	1 byte  'k' kept, 'd' deleted
//	        fosite's request ID after its length in two bytes, and the request
type requestRecord struct {
	deleted   bool
	requestID string
	document  string
}

const requestVersion = 1

func (r *requestRecord) encode() []byte {
	return append(appendLong([]byte{requestVersion, 'k'}, r.requestID), r.document...)
}

func decodeRequestRecord(op, raw string) (*requestRecord, error) {
	if len(raw) < 2 || raw[0] != requestVersion || raw[1] != 'k' && raw[1] != 'd' {
		return nil, unavailable.Error(op, unavailable.ErrRecord)
	}
	r := &fields{left: raw[2:]}
	record := &requestRecord{deleted: raw[1] == 'd', requestID: r.long()}
	if record.document = r.left; r.err != nil {
		return nil, unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, r.err))
	}
	return record, nil
}

// putRequest stores a request under one key, in one round trip, within a transaction at its Commit. It expires after ttl, and is not
// stored if that is zero.
func (t *Tokens) putRequest(ctx context.Context, op, key string, ttl time.Duration, requestID, document string) error {
	if err := checkLengths(requestID); err != nil || ttl < time.Millisecond {
		return err
	}
	record := requestRecord{requestID: requestID, document: document}
	return t.writeOrWait(ctx, op, redisdb.Command("SET", key, record.encode(), "PX", ttl.Milliseconds()))
}

// readRequest reads a request and how long it will be there, in one round trip, or returns fosite.ErrNotFound.
func (t *Tokens) readRequest(ctx context.Context, op, key string) (r *requestRecord, left time.Duration, err error) {
	var raw *redis.StringCmd
	var expires *redis.DurationCmd
	err = t.db.Do(ctx, op, func(ctx context.Context) error {
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			raw, expires = p.Get(ctx, key), p.PTTL(ctx, key)
			return nil
		})
		return redisdb.FirstError(err, raw, expires)
	})
	if err != nil {
		return nil, 0, err
	}
	if errors.Is(raw.Err(), redis.Nil) {
		return nil, 0, t.db.Missing(ctx, op)
	}
	r, err = decodeRequestRecord(op, raw.Val())
	return r, expires.Val(), err
}

// request makes a fosite request of the record.
func (t *Tokens) request(ctx context.Context, op string, r *requestRecord, into fosite.Session) (*fosite.Request, error) {
	d, err := decodeDocument(op, []byte(r.document))
	if err != nil {
		return nil, err
	}
	client, err := t.clientOfStored(ctx, d.Client)
	if err != nil {
		return nil, err
	}
	req, err := decodeKeepingExpiry(d, r.requestID, client, into)
	if err != nil {
		return nil, unavailable.Error(op, err)
	}
	return req, nil
}

// waitingCall is a write of a transaction that lies in another slot than its session.
type waitingCall struct {
	op     string
	call   redisdb.Call
	before []redisdb.Call
}

// writeOrWait runs a script, and others before it, within a transaction at its Commit.
func (t *Tokens) writeOrWait(ctx context.Context, op string, call redisdb.Call, before ...redisdb.Call) error {
	w := waitingCall{op, call, before}
	if b := batchFrom(ctx); b != nil && b.depth > 0 {
		b.waiting = append(b.waiting, w)
		return nil
	}
	return t.commitWaiting(ctx, []waitingCall{w})
}

// commitWaiting runs scripts one after the other, until one fails.
func (t *Tokens) commitWaiting(ctx context.Context, waiting []waitingCall) error {
	for _, w := range waiting {
		reply, err := t.db.EvalAfter(ctx, w.op, w.before, w.call)
		if w.call.Script == codeStoreScript {
			err = t.codeResult(ctx, w.op, reply, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
