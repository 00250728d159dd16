package sandbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kxops/ops"
)

// This file has KMS as checks: keys with their policies, and whether a service may
// use one. Nothing is encrypted.

// kmsStore is KMS in one region.
type kmsStore struct {
	r       *Region
	keys    map[string]*kmsKey // by id
	aliases map[string]string  // "alias/name" to key id
}

// kmsKey is one customer managed key. The members with a capital are what
// DescribeKey shows (KMS API reference, KeyMetadata).
type kmsKey struct {
	KeyId, Arn, AWSAccountId, Description, KeyState, KeyUsage, KeyManager, KeySpec, Origin string
	CreationDate                                                                           time.Time
	DeletionDate                                                                           *time.Time
	Enabled                                                                                bool

	text    string
	policy  *accessPolicy
	rotates bool
}

// The inputs and outputs of KMS, as far as the sandbox takes them.
type (
	createKeyInput struct {
		Policy, Description, KeySpec, KeyUsage *string
		Tags                                   []struct{ TagKey, TagValue *string }
	}
	keyOutput   struct{ KeyMetadata *kmsKey }
	keyIDInput  struct{ KeyId *string }
	policyInput struct{ KeyId, PolicyName, Policy *string }
	aliasInput  struct{ AliasName, TargetKeyId *string }
	aliasEntry  struct{ AliasName, AliasArn, TargetKeyId *string }
	aliasesOut  struct{ Aliases []aliasEntry }
	keyEntry    struct{ KeyId, KeyArn *string }
	keysOut     struct{ Keys []keyEntry }
	doomInput   struct {
		KeyId               *string
		PendingWindowInDays *int32
	}
	doomOutput     struct{ DeletionDate *time.Time }
	policyOutput   struct{ Policy *string }
	rotationOutput struct{ KeyRotationEnabled *bool }
	noAnswer       struct{}
)

func newKMS(r *Region) {
	s := &kmsStore{r: r, keys: map[string]*kmsKey{}, aliases: map[string]string{}}
	r.kms = s
	handle(r, "kms", "CreateKey", s.create)
	handle(r, "kms", "DescribeKey", func(_ context.Context, in *keyIDInput) (*keyOutput, error) {
		k, err := s.find(deref(in.KeyId))
		return &keyOutput{k}, err
	})
	handle(r, "kms", "ListKeys", func(context.Context, *noAnswer) (*keysOut, error) {
		out := &keysOut{Keys: []keyEntry{}}
		for _, id := range sortedNames(s.keys) {
			out.Keys = append(out.Keys, keyEntry{&s.keys[id].KeyId, &s.keys[id].Arn})
		}
		return out, nil
	})
	handle(r, "kms", "GetKeyPolicy", func(_ context.Context, in *policyInput) (*policyOutput, error) {
		k, err := s.find(deref(in.KeyId))
		if err != nil {
			return nil, err
		}
		return &policyOutput{&k.text}, nil
	})
	handle(r, "kms", "PutKeyPolicy", func(_ context.Context, in *policyInput) (*noAnswer, error) {
		k, err := s.find(deref(in.KeyId))
		if err != nil {
			return nil, err
		}
		return &noAnswer{}, k.setPolicy(deref(in.Policy))
	})
	handle(r, "kms", "CreateAlias", s.createAlias)
	handle(r, "kms", "ListAliases", func(context.Context, *keyIDInput) (*aliasesOut, error) {
		out := &aliasesOut{Aliases: []aliasEntry{}}
		for _, name := range sortedNames(s.aliases) {
			id, arn := s.aliases[name], string(r.arn("kms", name))
			out.Aliases = append(out.Aliases, aliasEntry{&name, &arn, &id})
		}
		return out, nil
	})
	handle(r, "kms", "DeleteAlias", func(_ context.Context, in *aliasInput) (*noAnswer, error) {
		if _, ok := s.aliases[deref(in.AliasName)]; !ok {
			return nil, fail("NotFoundException", "Alias %s is not found.", r.arn("kms", deref(in.AliasName)))
		}
		delete(s.aliases, *in.AliasName)
		return &noAnswer{}, nil
	})
	handle(r, "kms", "ScheduleKeyDeletion", s.doom)
	handle(r, "kms", "DisableKey", func(_ context.Context, in *keyIDInput) (*noAnswer, error) { return s.enable(in, false) })
	handle(r, "kms", "EnableKey", func(_ context.Context, in *keyIDInput) (*noAnswer, error) { return s.enable(in, true) })
	handle(r, "kms", "EnableKeyRotation", func(_ context.Context, in *keyIDInput) (*noAnswer, error) {
		k, err := s.find(deref(in.KeyId))
		if err == nil {
			k.rotates = true
		}
		return &noAnswer{}, err
	})
	handle(r, "kms", "GetKeyRotationStatus", func(_ context.Context, in *keyIDInput) (*rotationOutput, error) {
		k, err := s.find(deref(in.KeyId))
		if err != nil {
			return nil, err
		}
		return &rotationOutput{&k.rotates}, nil
	})
}

// find takes a key's id, its ARN, an alias or an alias's ARN.
func (s *kmsStore) find(name string) (*kmsKey, error) {
	id := tail(name, ":")
	if target, ok := s.aliases[id]; ok {
		id = target
	}
	if k, ok := s.keys[strings.TrimPrefix(id, "key/")]; ok {
		return k, nil
	}
	return nil, fail("NotFoundException", "Key '%s' does not exist", s.r.arn("kms", "key/"+tail(id, "/")))
}

func (s *kmsStore) create(_ context.Context, in *createKeyInput) (*keyOutput, error) {
	if spec := deref(in.KeySpec); spec != "" && spec != "SYMMETRIC_DEFAULT" {
		return nil, unsupported("KeySpec " + spec)
	}
	id := s.r.id()
	k := &kmsKey{KeyId: id, Arn: string(s.r.arn("kms", "key/"+id)), AWSAccountId: Account, Description: deref(in.Description), KeyState: "Enabled",
		KeyUsage: "ENCRYPT_DECRYPT", KeyManager: "CUSTOMER", KeySpec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS", CreationDate: s.r.now(), Enabled: true}
	text := deref(in.Policy)
	if text == "" {
		text = `{"Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + Account + `:root"},"Action":"kms:*","Resource":"*"}]}`
	}
	if err := k.setPolicy(text); err != nil {
		return nil, err
	}
	s.keys[id] = k
	return &keyOutput{k}, nil
}

func (k *kmsKey) setPolicy(text string) error {
	p, err := readPolicy(text)
	if err != nil || p == nil {
		return fail("MalformedPolicyDocumentException", "the key policy cannot be read: %v", err)
	}
	k.text, k.policy = text, p
	return nil
}

func (s *kmsStore) createAlias(_ context.Context, in *aliasInput) (*noAnswer, error) {
	name := deref(in.AliasName)
	if !strings.HasPrefix(name, "alias/") || strings.HasPrefix(name, "alias/aws/") {
		return nil, fail("InvalidAliasNameException", "the alias %q must begin with alias/ and not with alias/aws/", name)
	}
	k, err := s.find(deref(in.TargetKeyId))
	if err != nil {
		return nil, err
	}
	if _, exists := s.aliases[name]; exists {
		return nil, fail("AlreadyExistsException", "An alias with the name %s already exists", s.r.arn("kms", name))
	}
	s.aliases[name] = k.KeyId
	return &noAnswer{}, nil
}

func (s *kmsStore) doom(_ context.Context, in *doomInput) (*doomOutput, error) {
	k, err := s.find(deref(in.KeyId))
	if err != nil {
		return nil, err
	}
	days := int32(30)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < 7 || days > 30 {
		return nil, fail("ValidationException", "PendingWindowInDays must be between 7 and 30")
	}
	when := s.r.now().Add(time.Duration(days) * 24 * time.Hour)
	k.KeyState, k.Enabled, k.DeletionDate = "PendingDeletion", false, &when
	return &doomOutput{&when}, nil
}

func (s *kmsStore) enable(in *keyIDInput, on bool) (*noAnswer, error) {
	k, err := s.find(deref(in.KeyId))
	if err != nil {
		return nil, err
	}
	if k.DeletionDate != nil {
		return nil, fail("KMSInvalidStateException", "%s is pending deletion.", k.Arn)
	}
	k.Enabled, k.KeyState = on, "Disabled"
	if on {
		k.KeyState = "Enabled"
	}
	return &noAnswer{}, nil
}

// refuses says why a key may not be used by a sender, "" if it may. A service
// that sends through an encrypted queue or topic needs kms:GenerateDataKey and
// kms:Decrypt in the key's policy (SQS developer guide, key management; SNS
// developer guide, key management). A key that the sandbox did not make may be
// used by all.
func (s *kmsStore) refuses(key string, from ops.ARN) string {
	if key == "" {
		return ""
	}
	k, err := s.find(key)
	if err != nil {
		return ""
	}
	if !k.Enabled {
		return fmt.Sprintf("%s is %s", k.Arn, strings.ToLower(k.KeyState))
	}
	if principalOf(from) == Account {
		return "" // what the account's own identities may is decided by their roles
	}
	for _, action := range []string{"kms:GenerateDataKey", "kms:Decrypt"} {
		allowed, denied := k.policy.verdict(from, action)
		if denied || !allowed {
			return fmt.Sprintf("%s is not authorized to perform: %s on resource: %s because no resource-based policy allows the action", principalOf(from), action, k.Arn)
		}
	}
	return ""
}
