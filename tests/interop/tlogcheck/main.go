// Command tlogcheck holds our logs against golang.org/x/mod/sumdb, which was written by others, and makes logs for us to
// hold against ours.
//
//	tlogcheck check DIR               verify the log in DIR: checkpoint, cosignatures, tiles, entries, proofs
//	tlogcheck make DIR NAME SIZE OLD  write a log of SIZE entries, with proofs from and at OLD
//
// DIR has `checkpoint` and `tile/…` as a log serves them (C2SP tlog-tiles), and `facts.json`: the keys, and proofs.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height         = 8
	width          = 1 << height
	cosignatureAlg = 4
)

// Facts is what else a verifier needs: who signs, and proofs that somebody made.
type Facts struct {
	Vkey      string   `json:"vkey"`
	Cosigners []string `json:"cosigners"`
	Records   []Record `json:"records"`
	Trees     []Tree   `json:"trees"`
}

// Record is a proof that an entry stands in the log at its checkpoint.
type Record struct {
	Index int64       `json:"index"`
	Path  []tlog.Hash `json:"path"`
}

// Tree is a proof that the log begins with what it was.
type Tree struct {
	Size int64       `json:"size"`
	Root tlog.Hash   `json:"root"`
	Path []tlog.Hash `json:"path"`
}

func main() {
	log.SetFlags(0)
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "check":
		err = check(os.Args[2])
	case len(os.Args) == 6 && os.Args[1] == "make":
		err = makeLog(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	default:
		err = errors.New("usage: tlogcheck check DIR | make DIR NAME SIZE OLD")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// folder reads the tiles of a log from its files.
type folder string

func (f folder) Height() int { return height }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	contents := make([][]byte, len(tiles))
	for i, tile := range tiles {
		content, err := os.ReadFile(f.file(tile))
		if err != nil {
			return nil, err
		}
		contents[i] = content
	}
	return contents, nil
}

// file gives the file of a tile: C2SP leaves out the height that sumdb has in its paths, and calls data entries.
func (f folder) file(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	if tile.L == -1 {
		path = "entries" + strings.TrimPrefix(path, "data")
	}
	return filepath.Join(string(f), "tile", path)
}

func check(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "facts.json"))
	if err != nil {
		return err
	}
	var facts Facts
	if err := json.Unmarshal(raw, &facts); err != nil {
		return err
	}
	tree, cosigned, err := openCheckpoint(dir, facts)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	entries, err := readEntries(folder(dir), tree)
	if err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	for _, record := range facts.Records {
		hash := tlog.RecordHash(entries[record.Index])
		if err := tlog.CheckRecord(record.Path, tree.N, tree.Hash, record.Index, hash); err != nil {
			return fmt.Errorf("record %d: %w", record.Index, err)
		}
	}
	for _, old := range facts.Trees {
		if err := tlog.CheckTree(old.Path, tree.N, tree.Hash, old.Size, old.Root); err != nil {
			return fmt.Errorf("tree %d: %w", old.Size, err)
		}
	}
	fmt.Printf("size %d, root %v, entries %d, records %d, trees %d, cosigned %d\n",
		tree.N, tree.Hash, len(entries), len(facts.Records), len(facts.Trees), cosigned)
	return nil
}

// openCheckpoint verifies the note under the keys of facts and reads its text.
func openCheckpoint(dir string, facts Facts) (tlog.Tree, int, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	verifier, err := note.NewVerifier(facts.Vkey)
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	verifiers := []note.Verifier{verifier}
	for _, vkey := range facts.Cosigners {
		cosigner, err := newCosigner(vkey)
		if err != nil {
			return tlog.Tree{}, 0, err
		}
		verifiers = append(verifiers, cosigner)
	}
	opened, err := note.Open(raw, note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || opened.Sigs[0].Name != verifier.Name() {
		return tlog.Tree{}, 0, fmt.Errorf("expected three lines of %s, got %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, 0, err
	}
	if len(opened.UnverifiedSigs) != 0 {
		return tlog.Tree{}, 0, fmt.Errorf("expected every signature to be known, got %v", opened.UnverifiedSigs)
	}
	return tlog.Tree{N: size, Hash: root}, len(opened.Sigs) - 1, nil
}

// cosigner verifies cosignature/v1 lines (C2SP tlog-cosignature), which sumdb does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("expected name+hash+key, got %q", vkey)
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != cosignatureAlg {
		return nil, fmt.Errorf("expected a key of kind 04, got %q", parts[2])
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	hash := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, fmt.Errorf("expected hash %08x, got %s", hash, parts[1])
	}
	return &cosigner{parts[0], hash, key[1:]}, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(head), msg...), sig[8:])
}

// readEntries gives all entries, each held against the hash that the tiles have under the root of tree.
func readEntries(from folder, tree tlog.Tree) ([][]byte, error) {
	var entries [][]byte
	for first := int64(0); first < tree.N; first += width {
		tile := tlog.Tile{H: height, L: -1, N: first / width, W: width}
		if rest := tree.N - first; rest < width {
			tile.W = int(rest)
		}
		content, err := os.ReadFile(from.file(tile))
		if err != nil {
			return nil, err
		}
		for len(content) >= 2 {
			end := 2 + int(binary.BigEndian.Uint16(content))
			entries = append(entries, content[2:end])
			content = content[end:]
		}
		if len(content) != 0 || int64(len(entries)) != first+int64(tile.W) {
			return nil, fmt.Errorf("%s: expected %d whole entries", tile.Path(), tile.W)
		}
	}
	indexes := make([]int64, len(entries))
	for i := range entries {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	if len(entries) == 0 {
		return nil, nil
	}
	hashes, err := tlog.TileHashReader(tree, from).ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i, entry := range entries {
		if tlog.RecordHash(entry) != hashes[i] {
			return nil, fmt.Errorf("entry %d: another hash than that of its tile", i)
		}
	}
	return entries, nil
}

// stored keeps every hash of a log in memory.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = s[index]
	}
	return hashes, nil
}

func makeLog(dir, name, sizeText, oldText string) error {
	size, err := strconv.ParseInt(sizeText, 10, 64)
	if err != nil {
		return err
	}
	old, err := strconv.ParseInt(oldText, 10, 64)
	if err != nil {
		return err
	}
	var hashes stored
	var entries [][]byte
	for i := int64(0); i < size; i++ {
		entries = append(entries, []byte(fmt.Sprintf("entry %d of %s", i, name)))
		more, err := tlog.StoredHashes(i, entries[i], hashes)
		if err != nil {
			return err
		}
		hashes = append(hashes, more...)
	}
	if err := writeTiles(folder(dir), size, hashes, entries); err != nil {
		return err
	}
	return writeSigned(dir, name, size, old, hashes)
}

func writeTiles(to folder, size int64, hashes stored, entries [][]byte) error {
	for level := 0; size>>(height*level) > 0; level++ {
		count := size >> (height * level)
		for first := int64(0); first < count; first += width {
			tile := tlog.Tile{H: height, L: level, N: first / width, W: width}
			if rest := count - first; rest < width {
				tile.W = int(rest)
			}
			content, err := tlog.ReadTileData(tile, hashes)
			if err != nil {
				return err
			}
			if err := write(to.file(tile), content); err != nil {
				return err
			}
			if level > 0 {
				continue
			}
			var bundle bytes.Buffer
			for _, entry := range entries[first : first+int64(tile.W)] {
				_ = binary.Write(&bundle, binary.BigEndian, uint16(len(entry)))
				bundle.Write(entry)
			}
			tile.L = -1
			if err := write(to.file(tile), bundle.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeSigned(dir, name string, size, old int64, hashes stored) error {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return err
	}
	oldRoot, err := tlog.TreeHash(old, hashes)
	if err != nil {
		return err
	}
	record, err := tlog.ProveRecord(size, old-1, hashes)
	if err != nil {
		return err
	}
	tree, err := tlog.ProveTree(size, old, hashes)
	if err != nil {
		return err
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", name, size, root)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "checkpoint"), signed); err != nil {
		return err
	}
	facts, err := json.Marshal(Facts{
		Vkey:    vkey,
		Records: []Record{{old - 1, record}},
		Trees:   []Tree{{old, oldRoot, tree}},
	})
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, "facts.json"), facts)
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
