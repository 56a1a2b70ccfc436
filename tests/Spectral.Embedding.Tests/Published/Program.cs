using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Models;

// Trains by the loop of docs/embedding.md, loads what it saved, saves and opens a trainer's state, and prints what a
// trimmed program could have lost: the known methods.
if (args is not [var model, var data, var adapter, var state])
    return 2;
float first = CustomLoop.Train(model, data, adapter, steps: 1);
float last = CustomLoop.Train(model, data, adapter, steps: 20);
Console.WriteLine(last < 0.9f * first ? "learned" : $"not learned: {first} to {last}");
using (var device = Device.Cpu())
using (var folder = ModelFolder.Open(model))
using (var loaded = CausalLanguageModel.Load(folder, device, DType.F32))
using (var attached = Adapter.Load(loaded, adapter))
using (var trainer = new Trainer(loaded, new TrainerOptions { Steps = 3 }))
{
    trainer.Save(state);
    using var opened = TrainerState.Open(state);
    trainer.Restore(opened);
    Console.WriteLine($"loaded: {attached.Method.Name}");
}

Console.WriteLine("methods: " + string.Join(' ', AdapterMethods.All.Select(method => method.Name)));
return 0;
