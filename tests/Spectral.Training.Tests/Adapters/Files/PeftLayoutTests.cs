using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// Folders as PEFT lays them out, type by type, written by hand: keys of config and tensors, shapes. Two layers of
/// <see cref="TinyModel"/>: [8, 8] and [8, 12].
/// </summary>
public sealed class PeftLayoutTests : FolderTest
{
    private const string Query = AdapterFiles.Module;
    private const string Down = "model.layers.0.mlp.down_proj";

    // What all of PEFT's configs have.
    private const string Common = """
        "auto_mapping":null,"base_model_name_or_path":"base","inference_mode":true,"modules_to_save":null,
        "peft_version":"0.18.0","revision":null,"task_type":"CAUSAL_LM",
        "target_modules":["model.layers.0.self_attn.q_proj","model.layers.0.mlp.down_proj"]
        """;

    // What a file may leave out, as it follows from a seed in the config.
    private static readonly string[] Drawn = ["vera_A", "vera_B", "randlora_A", "randlora_B", "tinylora_P"];

    private const string Layers =
        "\"exclude_modules\":null,\"layers_pattern\":null,\"layers_to_transform\":null,\"init_weights\":true";

    /// <summary>Method; type and config; tensors of the query layer and of the down layer; shared ones.</summary>
    private static IEnumerable<TestCaseData> Types()
    {
        yield return Case(
            "dora",
            """
            "peft_type":"LORA","r":2,"lora_alpha":4,"lora_dropout":0.1,"use_rslora":false,"use_dora":true,
            "rank_pattern":{},"alpha_pattern":{},"bias":"none","fan_in_fan_out":false,"init_lora_weights":true
            """,
            "lora_A.weight 2,8; lora_B.weight 8,2; lora_magnitude_vector 8",
            "lora_A.weight 2,12; lora_B.weight 8,2; lora_magnitude_vector 8"
        );
        yield return Case(
            "vera",
            Layers
                + """
                ,"peft_type":"VERA","r":2,"projection_prng_key":0,"save_projection":true,"vera_dropout":0.0,
                "d_initial":0.1,"fan_in_fan_out":false,"bias":"none"
                """,
            "vera_lambda_b 8; vera_lambda_d 2",
            "vera_lambda_b 8; vera_lambda_d 2",
            "vera_A 2,12; vera_B 8,2"
        );
        yield return Case(
            "unilora",
            """
            "exclude_modules":null,"layers_pattern":null,"layers_to_transform":null,"init_weights":true,
            "peft_type":"UNILORA","r":2,"proj_seed":42,"theta_d_length":7,"unilora_dropout":0.0,
            "init_theta_d_bound":0.02,"save_indices":false,"fan_in_fan_out":false,"bias":"none"
            """,
            "",
            "",
            "unilora_theta_d 7"
        );
        yield return Case(
            "randlora",
            Layers
                + """
                ,"peft_type":"RANDLORA","r":2,"projection_prng_key":0,"save_projection":true,"sparse":false,
                "very_sparse":false,"randlora_dropout":0.0,"randlora_alpha":640,"fan_in_fan_out":false,"bias":"none"
                """,
            "randlora_lambda 2,4; randlora_gamma 4,8",
            "randlora_lambda 2,4; randlora_gamma 4,8",
            "randlora_A 2,1,8; randlora_B 12,4,2"
        );
        yield return Case(
            "ia3",
            """
            "exclude_modules":null,"peft_type":"IA3","feedforward_modules":["model.layers.0.mlp.down_proj"],
            "fan_in_fan_out":false,"init_ia3_weights":true
            """,
            "ia3_l 8,1",
            "ia3_l 1,12"
        );
        yield return Case(
            "adalora",
            """
            "peft_type":"ADALORA","r":8,"init_r":2,"target_r":2,"tinit":0,"tfinal":0,"deltaT":1,"beta1":0.85,
            "beta2":0.85,"orth_reg_weight":0.5,"total_step":10,"rank_pattern":null,"alpha_pattern":{},"lora_alpha":4,
            "lora_dropout":0.0,"bias":"none","use_rslora":false,"use_dora":false,"fan_in_fan_out":false,
            "init_lora_weights":true
            """,
            "lora_A 2,8; lora_B 8,2; lora_E 2,1",
            "lora_A 2,12; lora_B 8,2; lora_E 2,1"
        );
        yield return Case(
            "adalora",
            """
            "peft_type":"ADALORA","init_r":3,"total_step":10,
            "rank_pattern":{"model.layers.0.self_attn.q_proj.lora_E":[true,false,true],
            "base_model.model.model.layers.0.mlp.down_proj.lora_E":[false,true,false]},"lora_alpha":6,
            "lora_dropout":0.0,"bias":"none"
            """,
            "lora_A 2,8; lora_B 8,2; lora_E 2,1",
            "lora_A 1,12; lora_B 8,1; lora_E 1,1"
        );
        yield return Case(
            "loha",
            Layers
                + """
                ,"peft_type":"LOHA","r":2,"alpha":4,"rank_dropout":0.0,"module_dropout":0.0,
                "use_effective_conv2d":false,"rank_pattern":{},"alpha_pattern":{}
                """,
            "hada_w1_a 8,2; hada_w1_b 2,8; hada_w2_a 8,2; hada_w2_b 2,8",
            "hada_w1_a 8,2; hada_w1_b 2,12; hada_w2_a 8,2; hada_w2_b 2,12"
        );
        yield return Case(
            "lokr",
            Layers
                + """
                ,"peft_type":"LOKR","r":2,"alpha":4,"rank_dropout":0.0,"module_dropout":0.0,
                "use_effective_conv2d":false,"decompose_both":false,"decompose_factor":-1,"rank_dropout_scale":false,
                "rank_pattern":{},"alpha_pattern":{}
                """,
            "lokr_w1 2,2; lokr_w2 4,4",
            "lokr_w1 2,3; lokr_w2 4,4"
        );
        yield return Case(
            "oft",
            Layers
                + """
                ,"peft_type":"OFT","r":0,"oft_block_size":4,"module_dropout":0.0,"fan_in_fan_out":false,"bias":"none",
                "coft":false,"eps":6e-05,"block_share":false,"use_cayley_neumann":true,"num_cayley_neumann_terms":5
                """,
            "oft_R.weight 2,6",
            "oft_R.weight 3,6"
        );
        yield return Case(
            "boft",
            Layers
                + """
                ,"peft_type":"BOFT","boft_block_size":4,"boft_block_num":0,"boft_n_butterfly_factor":1,
                "boft_dropout":0.0,"fan_in_fan_out":false,"bias":"none"
                """,
            "boft_R 1,2,4,4; boft_s 8,1",
            "boft_R 1,3,4,4; boft_s 8,1"
        );
        yield return Case(
            "hra",
            Layers
                + """
                ,"peft_type":"HRA","r":2,"apply_GS":false,"bias":"none"
                """,
            "hra_u 8,2",
            "hra_u 12,2"
        );
        yield return Case(
            "osf",
            Layers
                + """
                ,"peft_type":"OSF","effective_rank":0.5,"rank_pattern":null,"target_svd_config":null
                """,
            "osf_svd_params.U_low 8,4; osf_svd_params.S_low 4; osf_svd_params.V_low 4,8",
            "osf_svd_params.U_low 8,4; osf_svd_params.S_low 4; osf_svd_params.V_low 4,12"
        );
        yield return Case(
            "fourierft",
            Layers
                + """
                ,"peft_type":"FOURIERFT","n_frequency":5,"scaling":150.0,"random_loc_seed":777,"fan_in_fan_out":false,
                "bias":"none","n_frequency_pattern":{}
                """,
            "fourierft_spectrum 5",
            "fourierft_spectrum 5"
        );
        yield return Case(
            "shira",
            """
            "peft_type":"SHIRA","r":2,"mask_type":"random","random_seed":null,"fan_in_fan_out":false,
            "init_weights":true
            """,
            "shira_indices 2,32; shira_weight 32",
            "shira_indices 2,40; shira_weight 40"
        );
        yield return Case(
            "vb-lora",
            Layers
                + """
                ,"peft_type":"VBLORA","r":2,"num_vectors":8,"vector_length":4,"topk":2,"save_only_topk_weights":false,
                "vblora_dropout":0.0,"fan_in_fan_out":false,"bias":"none","init_vector_bank_bound":0.02,
                "init_logits_std":0.1
                """,
            "vblora_logits_A 2,2,8; vblora_logits_B 2,2,8",
            "vblora_logits_A 2,3,8; vblora_logits_B 2,2,8",
            "vblora_vector_bank 8,4"
        );
        yield return Case(
            "miss",
            Layers
                + """
                ,"peft_type":"MISS","r":2,"miss_dropout":0.0,"mini_r":1,"bias":"none"
                """,
            "miss_block 2,8",
            "miss_block 2,8"
        );
        yield return Case(
            "c3a",
            """
            "layers_pattern":null,"layers_to_transform":null,"init_weights":"xavier_uniform","peft_type":"C3A",
            "block_size":4,"bias":"none","block_size_pattern":{}
            """,
            "c3a_kernel 2,2,4",
            "c3a_kernel 2,3,4"
        );
        yield return Case(
            "delora",
            Layers
                + """
                ,"peft_type":"DELORA","r":2,"delora_lambda":15,"module_dropout":0.0,"bias":"none","rank_pattern":{},
                "lambda_pattern":{}
                """,
            "delora_A 2,8; delora_B 8,2; delora_lambda 1; delora_w_norm 8",
            "delora_A 2,12; delora_B 8,2; delora_lambda 1; delora_w_norm 12"
        );
        yield return Case(
            "hira",
            Layers
                + """
                ,"peft_type":"HIRA","r":2,"hira_dropout":0.0,"fan_in_fan_out":false,"rank_pattern":{}
                """,
            "hira_A 2,8; hira_B 8,2",
            "hira_A 2,12; hira_B 8,2"
        );
        yield return Case(
            "gralora",
            """
            "layers_pattern":null,"layers_to_transform":null,"init_weights":true,"peft_type":"GRALORA","r":2,
            "hybrid_r":0,"alpha":64,"gralora_dropout":0.0,"gralora_k":2,"fan_in_fan_out":false,"bias":"none"
            """,
            "gralora_A 2,4,2; gralora_B 2,2,4",
            "gralora_A 2,6,2; gralora_B 2,2,4"
        );
        yield return Case(
            "beft",
            """
            "peft_type":"BEFT","init_weights":true
            """,
            "beft_bias 1,8",
            "beft_bias 1,8"
        );
        yield return Case(
            "deft",
            Layers
                + """
                ,"peft_type":"DEFT","r":2,"decomposition_method":"relu","init_scale":1.0,"alpha":4,"para":false,
                "fan_in_fan_out":false,"deft_dropout":0.0,"bias":"none"
                """,
            "deft_P 8,2; deft_R 2,8",
            "deft_P 8,2; deft_R 2,12"
        );
        yield return Case(
            "deft",
            Layers
                + """
                ,"peft_type":"DEFT","r":2,"decomposition_method":"relu","alpha":0,"para":true,"fan_in_fan_out":false,
                "deft_dropout":0.0,"bias":"none"
                """,
            "deft_P 8,2",
            "deft_P 8,2"
        );
        yield return Case(
            "glora",
            """
            "peft_type":"GLORA","r":2,"bias":"none","config_A_B":"lora","config_C":"lora","config_D_E":"constant",
            "init_weights":true
            """,
            "glora_A.Xd 8,2; glora_A.Xu 2,8; glora_B.Xd 8,2; glora_B.Xu 2,8",
            "glora_A.Xd 8,2; glora_A.Xu 2,12; glora_B.Xd 8,2; glora_B.Xu 2,12"
        );
        yield return Case(
            "peanut",
            Layers
                + """
                ,"peft_type":"PEANUT","r":2,"depth":1,"act_fn":"relu","scaling":2.0
                """,
            "peanut_A.weight 2,8; peanut_B.weight 8,2; peanut_encoders.0.weight 2,2; peanut_decoders.0.weight 2,2",
            "peanut_A.weight 2,8; peanut_B.weight 8,2; peanut_encoders.0.weight 2,2; peanut_decoders.0.weight 2,2"
        );
        yield return Case(
            "waveft",
            Layers
                + """
                ,"peft_type":"WAVEFT","n_frequency":5,"scaling":25.0,"wavelet_family":"db2","use_idwt":true,
                "random_loc_seed":777,"fan_in_fan_out":false,"bias":"none","n_frequency_pattern":{},
                "proportional_parameters":false
                """,
            "waveft_spectrum 5",
            "waveft_spectrum 5"
        );
        yield return Case(
            "waveft",
            Layers
                + """
                ,"peft_type":"WAVEFT","n_frequency":5,"scaling":25.0,"wavelet_family":"db1","use_idwt":false,
                "random_loc_seed":3,"fan_in_fan_out":false,"bias":"none","n_frequency_pattern":{},
                "proportional_parameters":true
                """,
            "waveft_spectrum 4",
            "waveft_spectrum 6"
        );
        yield return Case(
            "tinylora",
            """
            "layers_pattern":null,"layers_to_transform":null,"init_weights":true,"peft_type":"TINYLORA","r":2,"u":3,
            "weight_tying":0.0,"projection_seed":42,"save_projection":true,"init_v_bound":0.02,"tinylora_dropout":0.0,
            "fan_in_fan_out":false,"bias":"none"
            """,
            "tinylora_A 2,8; tinylora_B 8,2; tinylora_P 3,2,2",
            "tinylora_A 2,12; tinylora_B 8,2; tinylora_P 3,2,2",
            "tinylora_v.0 3; tinylora_v.1 3"
        );

        static TestCaseData Case(string method, string config, string query, string down, string shared = "") =>
            new TestCaseData(method, $"{{{config},{Common}}}", query, down, shared).SetArgDisplayNames(method, query);
    }

    [TestCaseSource(nameof(Types))]
    public void ItIsReadWithoutAWarningAndWrittenWithTheSameKeys(
        string method,
        string config,
        string query,
        string down,
        string shared
    )
    {
        TensorToWrite[] tensors =
        [
            .. Tensors($"base_model.model.{Query}.", query),
            .. Tensors($"base_model.model.{Down}.", down),
            .. Tensors("base_model.", shared),
        ];
        JsonObject json = JsonNode.Parse(config)!.AsObject();
        AdapterFiles.Write(folder, json, tensors);
        using TemporaryFolder models = new();
        TinyModel.Write(models);
        AdapterConfig read;
        using (AdapterReader reader = new(folder.Path, ModelConfig.Load(models.Path)))
        {
            Assert.That(reader.Warnings, Is.Empty);
            Assert.That(reader.Method.Name, Is.EqualTo(method));
            Assert.That(
                reader.Modules.Select(module => module.Shape),
                Is.EquivalentTo(new ModuleShape[] { new(Query, 8, 8), new(Down, 8, 12) })
            );
            Assert.That(
                reader
                    .Modules.SelectMany(module =>
                        module
                            .Stored(false)
                            .Select(stored =>
                                stored.IsShared
                                    ? AdapterFolder.SharedKeyOf(stored.Name)
                                    : AdapterFolder.KeyOf(module.Shape.Name, stored.Name)
                            )
                    )
                    .Distinct(),
                Is.EquivalentTo(tensors.Select(tensor => tensor.Name)),
                "the names that are written"
            );
            using var opened = AdapterFolder.Open(folder.Path);
            read = opened.Config;
        }
        AdapterFolder.Write(folder.Path, read, tensors);
        JsonObject written = JsonNode.Parse(File.ReadAllText(folder.File("adapter_config.json")))!.AsObject();
        Assert.That(
            written.Select(pair => pair.Key),
            Is.SubsetOf(json.Select(pair => pair.Key)),
            "older versions of PEFT refuse other keys"
        );
        foreach (
            (string key, JsonNode? value) in written.Where(pair =>
                pair.Key is not ("rank_pattern" or "total_step" or "init_weights")
            )
        )
        {
            Assert.That(
                JsonNode.DeepEquals(value, json[key]),
                Is.True,
                $"{key} is {value?.ToJsonString()}, was {json[key]?.ToJsonString()}"
            );
        }
    }

    [TestCaseSource(nameof(Types))]
    public void WhatIsMissingMisshapenOrTooMuchIsNamed(
        string method,
        string config,
        string query,
        string down,
        string shared
    )
    {
        TensorToWrite[] tensors =
        [
            .. Tensors($"base_model.model.{Query}.", query),
            .. Tensors($"base_model.model.{Down}.", down),
            .. Tensors("base_model.", shared),
        ];
        using TemporaryFolder models = new();
        TinyModel.Write(models);
        var model = ModelConfig.Load(models.Path);
        for (int i = 0; i < tensors.Length; i++)
        {
            TensorToWrite one = tensors[i];
            string leaf = one.Name.Split('.')[^1];
            // Of a module whose only tensor is gone nothing is left, which may be meant.
            if (!Drawn.Contains(leaf) && query.Contains(';'))
                Say([.. tensors.Where(tensor => tensor != one)], leaf);
            Say(
                [.. tensors.Select(tensor => tensor == one ? TinyModel.Numbered(one.Name, [.. one.Shape, 2]) : tensor)],
                one.Name
            );
            Say(
                [
                    .. tensors.Select(tensor =>
                        tensor == one ? TinyModel.Numbered(one.Name, [.. one.Shape.Select(size => size + 1)]) : tensor
                    ),
                ],
                "expected"
            );
        }
        Say([.. tensors, TinyModel.Numbered($"base_model.model.{Query}.other", [2])], "other");

        void Say(TensorToWrite[] written, string says)
        {
            AdapterFiles.Write(folder, JsonNode.Parse(config)!.AsObject(), written);
            Assert.That(
                () => new AdapterReader(folder.Path, model).Dispose(),
                Throws.TypeOf<InputException>().With.Message.Contains(says).And.Message.Contains(folder.Path),
                method
            );
        }
    }

    [Test]
    public void AShrunkAdaloraKeepsTheScaleOfAllRanks()
    {
        TestCaseData pruned = Types().First(data => data.Arguments[1]!.ToString()!.Contains("\"init_r\":3"));
        AdapterFiles.Write(
            folder,
            JsonNode.Parse((string)pruned.Arguments[1]!)!.AsObject(),
            [
                .. Tensors($"base_model.model.{Query}.", (string)pruned.Arguments[2]!),
                .. Tensors($"base_model.model.{Down}.", (string)pruned.Arguments[3]!),
            ]
        );
        using TemporaryFolder models = new();
        TinyModel.Write(models);
        using AdapterReader reader = new(folder.Path, ModelConfig.Load(models.Path));
        Assert.That(
            reader.Modules.Select(module => (module.Shape.Name, module.Form.Rank)),
            Is.EquivalentTo(new[] { (Query, 2), (Down, 1) })
        );
        // PEFT divides by the rank and 1e-5.
        Assert.That(
            reader.Modules.Select(module => module.Form.Terms[0].Scale),
            Is.All.EqualTo(6 / (3 + 1e-5)).Within(1e-12)
        );
    }

    /// <summary>PEFT 0.12 keeps BOFT's permutations among its tensors, and GLoRA's absent supports as zeros.</summary>
    [TestCase("boft", "boft_P 1,8,8", "boft_P 1,12,12")]
    [TestCase(
        "glora",
        "glora_C.zeros 8,1; glora_D.zeros 8; glora_E.zeros 8",
        "glora_C.zeros 12,1; glora_D.zeros 8; glora_E.zeros 8"
    )]
    public void WhatIsStoredInVainIsLeftAlone(string method, string query, string down)
    {
        TestCaseData type = Types().First(data => (string)data.Arguments[0]! == method);
        TensorToWrite[] tensors =
        [
            .. Tensors($"base_model.model.{Query}.", $"{type.Arguments[2]}; {query}"),
            .. Tensors($"base_model.model.{Down}.", $"{type.Arguments[3]}; {down}"),
        ];
        AdapterFiles.Write(folder, JsonNode.Parse((string)type.Arguments[1]!)!.AsObject(), tensors);
        using TemporaryFolder models = new();
        TinyModel.Write(models);
        using AdapterReader reader = new(folder.Path, ModelConfig.Load(models.Path));
        Assert.That(reader.Modules, Has.Count.EqualTo(2));
        Assert.That(reader.Warnings, Is.Empty);
    }

    private static IEnumerable<TensorToWrite> Tensors(string prefix, string list) =>
        list.Split("; ", StringSplitOptions.RemoveEmptyEntries)
            .Select(entry =>
            {
                string[] parts = entry.Split(' ');
                return TinyModel.Numbered(prefix + parts[0], [.. parts[1].Split(',').Select(long.Parse)]);
            });
}
