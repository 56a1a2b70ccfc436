using System.Text;
using Spectral.Training.Data;
using Spectral.Training.Gguf.Architectures;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>
/// <c>docs/models.md</c> lists what the code finds: families, scalings of rotary angles, formats of records. After a
/// change of one, run this test with SPECTRAL_UPDATE_DOCS=1, which writes the file.
/// </summary>
public sealed class ModelsDocumentTests
{
    /// <summary>
    /// What models of a family are published, and what their layers are, after the cards and configs.
    /// </summary>
    private static readonly Dictionary<string, (string Published, string Layers)> Families = new()
    {
        ["cohere"] = (
            "Command R, Command R+",
            "LayerNorm without bias, attention beside the feed-forward layer, neighbouring features turn, a factor on "
                + "logits; in Command R+ norms of queries and keys with weights for each head"
        ),
        ["cohere2"] = (
            "Command R7B, Command A",
            "as `cohere`; layers with a window turn queries and keys, the others do not"
        ),
        ["gemma"] = ("Gemma 1, CodeGemma", "RMSNorm with weights around 1, GeGLU, embeddings scaled by √D"),
        ["gemma2"] = (
            "Gemma 2",
            "as `gemma`, with a norm before and after each block, soft caps on scores and logits, a window in every "
                + "second layer"
        ),
        ["gemma3_text"] = (
            "Gemma 3 270M and 1B",
            "as `gemma2` without the caps; norms of each head's queries and keys, angles by type of layer"
        ),
        ["glm"] = (
            "GLM-4 9B as converted for transformers, GLM-Edge",
            "a fused gate, biases on q, k and v, half of each head turns, neighbours together"
        ),
        ["glm4"] = ("GLM-4 0414, 9B and 32B", "as `glm`, with a norm before and after each block"),
        ["gpt2"] = (
            "GPT-2, DistilGPT-2",
            "LayerNorm, GELU without a gate, learned positions, a fused projection, weights stored [in, out]"
        ),
        ["granite"] = (
            "Granite 3.0 to 3.3, 2B and 8B",
            "Llama's, with factors on embeddings, scores, the residual stream and logits"
        ),
        ["llama"] = (
            "Llama 1 to 3.3, TinyLlama, Yi, SmolLM 1 and 2",
            "RMSNorm before each block, rotary angles, SwiGLU"
        ),
        ["mistral"] = ("Mistral 7B, Mistral Nemo, Mistral Small (text)", "Llama's, with an attention window"),
        ["mixtral"] = ("Mixtral 8x7B and 8x22B", "Mistral's, with a mixture of experts for the feed-forward layer"),
        ["olmo2"] = ("OLMo 2", "RMSNorm after each block, and over all queries and all keys"),
        ["phi"] = (
            "Phi-1, Phi-1.5, Phi-2",
            "LayerNorm, attention beside a feed-forward layer of GELU without a gate, a part of each head turns, "
                + "biases, also on the head"
        ),
        ["bert"] = (
            "BERT, and others with its files",
            "an encoder: LayerNorm of sums, GELU, learned positions and kinds of tokens; "
                + "[classifies](classification.md)"
        ),
        ["roberta"] = ("RoBERTa, DistilRoBERTa", "as `bert`, with positions from that of the padding token on"),
        ["phi3"] = (
            "Phi-3 mini and medium, Phi-3.5 mini, Phi-4, Phi-4 mini",
            "fused projections, a part of each head turns, LongRoPE"
        ),
        ["phi4"] = ("none; a name that some tools write for Phi-4", "as `phi3`"),
        ["qwen2"] = ("Qwen 1.5, 2 and 2.5", "Llama's, with biases on q, k and v; windows in some layers"),
        ["qwen3"] = ("Qwen 3 without experts", "Llama's, with RMSNorm of each head's queries and keys"),
        ["qwen3_moe"] = ("Qwen 3 30B-A3B and 235B-A22B", "as `qwen3`, with a mixture of experts in some or all layers"),
        ["smollm3"] = ("SmolLM3", "Llama's; some layers do not turn queries and keys"),
        ["stablelm"] = (
            "StableLM 3B, StableLM 2 1.6B and 12B",
            "LayerNorm with bias, a part of each head turns; in StableLM 2 12B attention beside the feed-forward "
                + "layer, and norms of each head's queries and keys"
        ),
        ["starcoder2"] = ("StarCoder2", "LayerNorm, GELU without a gate, biases, a window"),
    };

    [Test]
    public void TheDocumentIsWhatTheCodeFinds() => GeneratedDocument.Verify("models.md", Document());

    /// <summary>
    /// The models of these tests are compared with a float64 reference, gradients and cache included.
    /// </summary>
    [Test]
    public void EveryFamilyIsComparedWithAReference() =>
        Assert.That(
            TinyModels.All.Concat(TinyClassifiers.Encoders).Select(config => config.ModelType),
            // phi4 is phi3 by another name
            Is.SupersetOf(ModelFamilies.All.Select(family => family.ModelType).Except(["phi4"])),
            "families without a tiny model"
        );

    private static string Document()
    {
        var text = new StringBuilder(
            """
            # Models, files and records

            A model is a folder as Hugging Face publishes it: `config.json`, safetensors in one file or in shards, and
            the files of the tokenizer. `model_type` in `config.json` says of which family it is. What a config asks for
            and the family does not have is refused by name. Keys that change nothing here are written back unchanged;
            [data.md](data.md#model-configs) has the defaults of absent keys.

            Every family is compared with a float64 forward pass of its own, written from what the published configs
            mean: losses, gradients and generation with a cache, at small odd sizes. The published weights themselves
            were not at hand for these tests. A test writes this file.

            ## Families

            | `model_type` | published models | layers | `--target` by default | [in llama.cpp](serving.md) |
            | --- | --- | --- | --- | --- |

            """
        );
        foreach (ModelFamily family in ModelFamilies.All)
        {
            (string published, string layers) = Families[family.ModelType];
            string targets = string.Join(' ', family.DefaultTargets.Select(target => $"`{target}`"));
            string llama = GgufArchitectures.Find(family.ModelType) is { } known ? $"`{known.Name}`" : "–";
            text.Append($"| `{family.ModelType}` | {published} | {layers} | {targets} | {llama} |\n");
        }

        text.Append(
            $"""

            Rotary angles are as trained (`default`), or scaled: {string.Join(
                ", ",
                RopeScaling.Types.Select(type => $"`{type}`")
            )}.
            A window on attention holds in all layers, or in those of `layer_types`.

            ## Records and files

            `--format auto` knows a record by its keys; [data.md](data.md#formats) says what they become.

            | `--format` | keys |
            | --- | --- |

            """
        );
        foreach (RecordFormat format in RecordFormats.All)
            text.Append($"| `{format.Name}` | {format.Keys} |\n");
        text.Append(
            """

            They are read from JSON Lines, from a JSON array, from Parquet, or from a folder of such files
            ([data.md](data.md#files)).

            """
        );
        return text.ToString();
    }
}
